import { Arena } from '@lbd/memory';
import { adviseHugePages } from '@lbd/native';
import { BenchBalancer } from '../memory/balancer.ts';
import { Pool } from '../memory/nodes.ts';
import { BUFFERS } from '../memory/rig.ts';
import { Templates, VIP_PORT } from '../memory/templates.ts';
import { FIRST_SERVER, FIRST_VIP, GATEWAY, nth } from './addresses.ts';
import type { Value } from './measures.ts';

const SERVERS = 256;
/** Flows that come at a time. */
const PORTION = 1 << 18;

/** Nothing but new flows, one packet each, until there are so many (a power of two): each gets a sticky entry and a session. */
export async function newFlows(flows: number): Promise<Value[]> {
  const arena = Arena.create(4095 * 2 ** 20);
  adviseHugePages(arena.memory.u8);
  const templates = new Templates(arena, PORTION);
  const pool = new Pool(arena, BUFFERS, templates.address, PORTION);
  const bed = await BenchBalancer.create(arena, pool, {
    buckets: flows,
    sessions: (encap) => (encap === 'nat4' ? flows + flows / 8 : 1024),
  });
  const { balancer, rig } = bed;
  bed.route('10.1.0.0/16');
  bed.neighbour(GATEWAY);
  bed.route('0.0.0.0/0', GATEWAY);
  const vip = { prefix: `${nth(FIRST_VIP, 0)}/32`, protocol: 'udp', port: VIP_PORT } as const;
  const more = { encap: 'nat4', type: 'clusterip', targetPort: 80, newLen: 16_384, srcIpSticky: false } as const;
  await balancer.addVip({ ...vip, ...more });
  const addresses = Array.from({ length: SERVERS }, (_, n) => nth(FIRST_SERVER, n));
  await balancer.addServers({ vip, addresses, flush: false });
  const costs: number[] = [];
  for (let n = 0; n < flows; n += PORTION) {
    if (n > 0) templates.renew(PORTION);
    const begun = performance.now();
    rig.pass(PORTION);
    costs.push(((performance.now() - begun) * 1e6) / PORTION);
  }
  const { sessions } = balancer.summary().sessions.find(({ name }) => name === 'nat4')!;
  if (sessions < 0.9 * flows) throw new Error(`only ${sessions} of ${flows} flows have a session`);
  // The first portion has the compiler in it.
  const mean = costs.slice(1).reduce((sum, ns) => sum + ns, 0) / (costs.length - 1);
  return [
    { name: 'a new flow, generator included', value: mean, unit: 'ns' },
    { name: 'the last of them', value: costs.at(-1)!, unit: 'ns' },
    { name: 'new flows a second', value: 1000 / mean, unit: 'million' },
    { name: 'with a session', value: (sessions / flows) * 100, unit: '%' },
  ];
}
