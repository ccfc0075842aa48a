import { NODE_DATA } from '@lbd/graph/src/layout.ts';
import { NODE_POOL, POOL_MASK, POOL_RECEIVED, POOL_RING, POOL_TAIL } from '../src/layout.ts';

/** Output: gives the buffers back to the generator. */
export function collect(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const pool: usize = load<u32>(node, NODE_DATA + NODE_POOL);
  const ring: usize = load<u32>(pool, POOL_RING);
  const mask = load<u32>(pool, POOL_MASK);
  const tail = load<u32>(pool, POOL_TAIL);
  for (let i: i32 = 0; i < count; i++) {
    store<u32>(ring + (<usize>((tail + i) & mask) << 2), load<u32>(vector + (<usize>i << 2)));
  }
  store<u32>(pool, tail + count, POOL_TAIL);
  store<u32>(pool, load<u32>(pool, POOL_RECEIVED) + count, POOL_RECEIVED);
  return 0;
}
