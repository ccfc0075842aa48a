import { Graph } from '@lbd/graph';
import { Arena } from '@lbd/memory';
import { adviseHugePages } from '@lbd/native';
import { BenchBalancer } from '../memory/balancer.ts';
import { generatorNode, Pool, sinkNode } from '../memory/nodes.ts';
import { BUFFERS, Rig } from '../memory/rig.ts';
import { Templates } from '../memory/templates.ts';
import { median } from '../statistics.ts';
import { FIRST_SERVER, FIRST_VIP, GATEWAY, nth } from './addresses.ts';
import type { Value } from './measures.ts';
import { megabytes, times } from './process-memory.ts';

const SERVERS = 100;
const NEW_FLOW_SLOTS = 1024;
const FLOWS = 1 << 20;
const CHANGES = 300;
const SLICES = 8;
const SLICE_MS = 200;

/** So many VIPs (gre4, all ports), each with servers of its own behind one gateway, and a million flows over all of them. */
export async function vips(count: number): Promise<Value[]> {
  const arena = Arena.create(3 * 2 ** 30);
  adviseHugePages(arena.memory.u8);
  const templates = new Templates(arena, FLOWS, 4, count);
  const pool = () => new Pool(arena, BUFFERS, templates.address, FLOWS);
  const bed = await BenchBalancer.create(arena, pool(), { buckets: FLOWS, sessions: () => 1024 });
  const { balancer, rig } = bed;
  bed.route('10.1.0.0/16');
  bed.neighbour(GATEWAY);
  bed.route('0.0.0.0/0', GATEWAY);

  const before = megabytes();
  const begun = performance.now();
  for (let v = 0; v < count; v++) {
    const vip = { prefix: `${nth(FIRST_VIP, v)}/32` };
    await balancer.addVip({ ...vip, encap: 'gre4', type: 'clusterip', newLen: NEW_FLOW_SLOTS, srcIpSticky: false });
    const addresses = Array.from({ length: SERVERS }, (_, n) => nth(FIRST_SERVER, v * SERVERS + n));
    await balancer.addServers({ vip, addresses, flush: false });
  }
  const load = performance.now() - begun;
  const after = megabytes();

  const short = pool();
  const alone = await Rig.create(arena, new Graph().add(generatorNode(short, 'bench-sink'), sinkNode(short)), short);
  alone.pass(FLOWS);
  const packet = (): number => {
    rig.pass(2 * FLOWS);
    let generator = Number.POSITIVE_INFINITY;
    let all = Number.POSITIVE_INFINITY;
    for (let i = 0; i < SLICES; i++) {
      generator = Math.min(generator, alone.run(SLICE_MS));
      all = Math.min(all, rig.run(SLICE_MS));
    }
    return all - generator;
  };
  const spread = packet();
  templates.spread(1);
  const single = packet();

  const changes = await times(CHANGES, (i) => {
    const v = (i * 7919) % count;
    const vip = { prefix: `${nth(FIRST_VIP, v)}/32` };
    return balancer.setWeight({ vip, address: nth(FIRST_SERVER, v * SERVERS), weight: 50, flush: false });
  });
  const sweeps = await times(5, () => balancer.sweep());
  const shows = await times(3, () => balancer.vips());
  return [
    { name: 'load', value: load / 1000, unit: 's' },
    { name: 'JavaScript heap', value: after.heap - before.heap, unit: 'MiB' },
    { name: 'resident', value: after.resident - before.resident, unit: 'MiB' },
    { name: 'a packet of 1,048,576 flows', value: spread, unit: 'ns' },
    { name: 'the same, all to one of the VIPs', value: single, unit: 'ns' },
    { name: 'publish a weight', value: median(changes), unit: 'ms' },
    { name: 'the slowest of 300', value: changes.at(-1)!, unit: 'ms' },
    { name: 'sweep, each second', value: median(sweeps), unit: 'ms' },
    { name: 'all of show lb vips', value: median(shows), unit: 'ms' },
  ];
}
