import { Graph, type NodeDeclaration } from '@lbd/graph';
import { Arena } from '@lbd/memory';
import { expect, it } from 'vitest';
import { type Allocation, measureAllocation, warmPath } from './allocation.ts';
import { generatorNode, Pool, sinkNode } from './nodes.ts';
import { BUFFERS, Rig } from './rig.ts';
import { Templates } from './templates.ts';

const FLOWS = 1024;
const PACKETS = 2_000_000;
const WARM_UP = 2_000_000;
/** What allocates with each vector does so each time; what the compiler still allocates for itself it does once. */
const TIMES = 3;
/** The least object has 16 bytes: one for each vector of 256 packets would be 125 KB. */
const BOUND = 64 * 1024;

it.each(['nat4', 'nat4-reply', 'ip6-gre4'])('passes packets without allocating anything: %s', async (way) => {
  const rig = await warmPath(way, FLOWS, WARM_UP);
  const times: Allocation[] = [];
  for (let i = 0; i < TIMES; i++) times.push(await measureAllocation(() => rig.pass(PACKETS)));
  const whole = times.filter(({ collections }) => collections === 0);
  expect(Math.min(...whole.map(({ allocated }) => allocated))).toBeLessThan(BOUND);
  expect(Math.min(...times.map(({ kept }) => kept))).toBeLessThan(BOUND);
});

it('sees an object for each vector, kept or not', async () => {
  const arena = Arena.create(32 * 1024 * 1024);
  const pool = new Pool(arena, BUFFERS, new Templates(arena, FLOWS).address, FLOWS);
  const objects: object[] = [];
  let last: object | undefined;
  let keep = false;
  const allocate: NodeDeclaration = {
    name: 'allocate',
    next: ['bench-sink'],
    process(_, vector) {
      last = { first: vector[0] };
      if (keep) objects.push(last);
      return 0;
    },
  };
  const graph = new Graph().add(generatorNode(pool, 'allocate'), allocate, sinkNode(pool));
  const rig = await Rig.create(arena, graph, pool);
  rig.pass(WARM_UP);
  const garbage = await measureAllocation(() => rig.pass(PACKETS));
  expect(garbage.collections > 0 || garbage.allocated >= BOUND).toBe(true);
  expect(garbage.kept).toBeLessThan(BOUND);
  keep = true;
  const { kept } = await measureAllocation(() => rig.pass(PACKETS));
  expect(kept).toBeGreaterThan(BOUND);
  expect(objects).toContain(last);
});
