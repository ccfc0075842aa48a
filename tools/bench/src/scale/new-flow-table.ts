import { Arena } from '@lbd/memory';
import { BenchBalancer } from '../memory/balancer.ts';
import { Pool } from '../memory/nodes.ts';
import { BUFFERS } from '../memory/rig.ts';
import { Templates } from '../memory/templates.ts';
import { median } from '../statistics.ts';
import { FIRST_SERVER, FIRST_VIP, GATEWAY, nth } from './addresses.ts';
import type { Value } from './measures.ts';
import { times } from './process-memory.ts';

const SLOTS = 65_536;

/** One VIP with so many servers: its table is built anew for each change. */
export async function newFlowTable(servers: number): Promise<Value[]> {
  const arena = Arena.create(2 ** 30);
  const templates = new Templates(arena, 16);
  const pool = new Pool(arena, BUFFERS, templates.address, 16);
  const bed = await BenchBalancer.create(arena, pool, { buckets: 1024, sessions: () => 1024 });
  const { balancer } = bed;
  bed.route('10.1.0.0/16');
  bed.neighbour(GATEWAY);
  bed.route('11.0.0.0/8', GATEWAY);
  const vip = { prefix: `${nth(FIRST_VIP, 0)}/32` };
  await balancer.addVip({ ...vip, encap: 'gre4', type: 'clusterip', newLen: SLOTS, srcIpSticky: false });
  const addresses = Array.from({ length: servers }, (_, n) => nth(FIRST_SERVER, n));
  await balancer.addServers({ vip, addresses, flush: false });
  const change = (i: number) =>
    balancer.setWeight({ vip, address: addresses[i % servers]!, weight: 1 + (i % 100), flush: false });
  await times(20, change);
  const changes = await times(100, change);
  return [{ name: 'change a weight', value: median(changes), unit: 'ms' }];
}
