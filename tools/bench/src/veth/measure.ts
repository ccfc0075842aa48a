import { setTimeout as sleep } from 'node:timers/promises';
import { compile } from '../compile.ts';
import { type CoreUse, coreTimes, coreUse, interfaceCounters } from './counters.ts';
import { GENERATOR_CORE } from './devices.ts';
import { type Site, VIP, VIP_PORT } from './topology.ts';

/** One measurement of a device under full load. */
export interface Load {
  /** Million packets per second that reached the sink. */
  readonly mpps: number;
  /** Million packets per second that the generator offered; the kernel dropped what the device was too slow for. */
  readonly sentMpps: number;
  /** By core. Of the whole machine: nothing else should run. */
  readonly cores: readonly CoreUse[];
}

const WARM_UP_MS = 500;

/** Lets a generator for each queue run on a site, each on a core of its own, and counts what reaches the sink meanwhile. */
export async function load(site: Site, flows: number, milliseconds: number): Promise<Load> {
  const { generator, client, sink, queues } = site;
  const target = [generator.name, client.mac, generator.mac, VIP, String(VIP_PORT)];
  const blast = await compile('blast');
  const blasts = Array.from({ length: queues }, (_, queue) => {
    const args = [...target, Math.max(1, flows / queues), queue].map(String);
    return generator.namespace.spawn('taskset', ['-c', String(GENERATOR_CORE + queue), blast, ...args]);
  });
  try {
    await sleep(WARM_UP_MS);
    const before = reading(site);
    await sleep(milliseconds);
    const after = reading(site);
    for (const { alive, output } of blasts) if (!alive) throw new Error(`a generator ended: ${output}`);
    const rate = (key: 'received' | 'sent') => (after[key] - before[key]) / ((after.time - before.time) * 1000);
    if (rate('received') === 0) throw new Error(`no packet went through ${site.dut.name} to ${sink.name}`);
    return { mpps: rate('received'), sentMpps: rate('sent'), cores: coreUse(before.cores, after.cores) };
  } finally {
    await Promise.all(blasts.map((one) => one.stop()));
  }
}

function reading({ generator, sink }: Site) {
  const { sent, sendDropped } = interfaceCounters(generator);
  const { received } = interfaceCounters(sink);
  return { time: performance.now(), received, sent: sent + sendDropped, cores: coreTimes() };
}
