import { DPO_DROP, DPO_PUNT, dpo, lookupCounters } from '@lbd/fib';
import { ip4, packet, udp } from '@lbd/packet';
import { expect, it } from 'vitest';
import { AS_ADDRESS4, defineEncap, serverOf, toServer } from './index.ts';
import { LbBench } from './testing.ts';

it('an encap in TypeScript sends packets where the way to their server leads, with the reason where it ends', async () => {
  const encap = defineEncap({
    name: 'direct',
    summary: "the server's address instead of the VIP's",
    vipFamilies: [4],
    serverFamily: 4,
    overhead: 0,
    vip: { targetPort: 'refused', dscp: 'refused' },
    nodes: (lb) => [
      {
        name: 'direct',
        next: ['drop'],
        fanOut: 'dpo',
        counters: lookupCounters,
        process(context, vector, count, nexts) {
          for (let i = 0; i < count; i++) {
            const view = context.packet(vector[i]!);
            const address = serverOf(lb, view) + AS_ADDRESS4;
            view.bytes.set(context.memory.u8.subarray(address, address + 4), 16);
            nexts[i] = toServer(context, lb, view);
          }
          return -1;
        },
      },
    ],
  });
  const bench = await LbBench.create([encap]);
  const vip = { prefix: '90.0.0.1/32', encap: 'direct', type: 'clusterip', newLen: 8, srcIpSticky: false } as const;
  await bench.lb.addVip(vip);
  await bench.lb.addServers({ vip, addresses: ['10.0.0.7'], flush: false });
  const send = () => bench.send([packet(ip4({ src: '1.2.3.4', dst: '90.0.0.1' }), udp({ sport: 1, dport: 2 }))]);
  const [out] = send();
  expect([out!.node, [...out!.bytes.slice(16, 20)], out!.dpo & 0xffffff]).toEqual(['sink', [10, 0, 0, 7], 7]);
  for (const index of [0, 2, 99]) {
    bench.route('10.0.0.7', dpo(DPO_DROP, index));
    expect(send()).toEqual([]);
    bench.route('10.0.0.7', dpo(DPO_PUNT, index));
    expect(send().map(({ node }) => node)).toEqual(['punt']);
  }
  expect(bench.bench.counters('direct')).toEqual({ 'no route': 2, unreachable: 1 });
  expect(bench.bench.stats.counters().find(({ name }) => name === 'no reason')?.value ?? 0n).toBe(0n);
});
