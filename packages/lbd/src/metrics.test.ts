import { readFileSync } from 'node:fs';
import type { Lbd } from '@lbd/control';
import { expect, it } from 'vitest';
import { metricsPage } from './metrics.ts';

/** An lbd of which nothing is known but what is asked here. */
const nothing = {
  dataplane: { runtime: () => ({ workers: [], nodes: [] }), interfaces: () => [] },
  lb: { vips: () => [], summary: () => ({ sticky: [], sessions: [] }) },
} as unknown as Lbd;

it('has the pauses of each worker as a histogram whose buckets add up', async () => {
  const pauses = [
    { longest: 9, sum: 12.5, counts: [4, 0, 3, 2] },
    { longest: 0, sum: 0, counts: [0, 0, 0, 0] },
  ];
  const page = await metricsPage({ lbd: nothing, counters: () => [], pauses: () => pauses })();
  const lines = page.split('\n').filter((line) => line.includes('lbd_worker_pause_seconds'));
  expect(lines.slice(1, 8)).toEqual([
    '# TYPE lbd_worker_pause_seconds histogram',
    'lbd_worker_pause_seconds_bucket{worker="0",le="0.000001"} 4',
    'lbd_worker_pause_seconds_bucket{worker="0",le="0.000002"} 4',
    'lbd_worker_pause_seconds_bucket{worker="0",le="0.000004"} 7',
    'lbd_worker_pause_seconds_bucket{worker="0",le="+Inf"} 9',
    'lbd_worker_pause_seconds_sum{worker="0"} 0.0125',
    'lbd_worker_pause_seconds_count{worker="0"} 9',
  ]);
});

it('asks once for a page, and again for the next', async () => {
  let asked = 0;
  const vips = () => {
    asked++;
    return [];
  };
  const page = metricsPage({
    lbd: { ...nothing, lb: { ...nothing.lb, vips } } as Lbd,
    counters: () => [],
    pauses: () => [],
  });
  await page();
  expect(asked).toBe(1);
  await page();
  expect(asked).toBe(2);
});

it('has the metrics that the README names, and no others', async () => {
  const page = await metricsPage({ lbd: nothing, counters: () => [], pauses: () => [] })();
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const named = [...readme.matchAll(/`(lbd_\w+)`/g)].map(([, name]) => name);
  const served = [...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(named.sort()).toEqual(served.sort());
});

it('has the same figures for two who ask at the same time', async () => {
  const interfaces = () => [{ name: 'wan0', up: true, rxPackets: 3 }];
  const lbd = { ...nothing, dataplane: { ...nothing.dataplane, interfaces } } as unknown as Lbd;
  const page = metricsPage({ lbd, counters: () => [], pauses: () => [] });
  const pages = await Promise.all([page(), page()]);
  expect(pages[0]).toContain('lbd_interface_receive_packets_total{interface="wan0"} 3\n');
  expect(pages[0]).toContain('lbd_interface_up{interface="wan0"} 1\n');
  expect(pages[1]).toBe(pages[0]);
});
