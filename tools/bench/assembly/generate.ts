import { framesOf, metadataOf, metaOf, workerOf } from '@lbd/graph/assembly/abi.ts';
import { FRAME_SHIFT, NODE_DATA, WORKER_FREE, WORKER_FREE_COUNT } from '@lbd/graph/src/layout.ts';
import {
  GENERATOR_DATA,
  NODE_POOL,
  POOL_FLOW,
  POOL_FLOW_MASK,
  POOL_HEAD,
  POOL_MASK,
  POOL_RING,
  POOL_TAIL,
  POOL_TEMPLATES,
  TEMPLATE_BYTES,
  TEMPLATE_SHIFT,
} from '../src/layout.ts';

/** Input: fills a vector with one packet each of the flows that are next, in the buffers that are next. */
export function generate(node: usize, vector: usize, room: i32, nexts: usize): i32 {
  const pool: usize = load<u32>(node, NODE_DATA + NODE_POOL);
  const ring: usize = load<u32>(pool, POOL_RING);
  const mask = load<u32>(pool, POOL_MASK);
  takeFree(workerOf(node), pool, ring, mask);
  const head = load<u32>(pool, POOL_HEAD);
  const flow = load<u32>(pool, POOL_FLOW);
  const flowMask = load<u32>(pool, POOL_FLOW_MASK);
  const templates: usize = load<u32>(pool, POOL_TEMPLATES);
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const count = min<u32>(room, load<u32>(pool, POOL_TAIL) - head);
  // Offset and length; interface, flags and all else are 0.
  const described = i32x4(GENERATOR_DATA | (TEMPLATE_BYTES << 16), 0, 0, 0);
  const zero = i32x4(0, 0, 0, 0);
  for (let i: u32 = 0; i < count; i++) {
    const buffer = load<u32>(ring + (<usize>((head + i) & mask) << 2));
    const from = templates + (<usize>((flow + i) & flowMask) << TEMPLATE_SHIFT);
    const to = frames + (<usize>buffer << FRAME_SHIFT) + GENERATOR_DATA;
    store<u32>(vector + (<usize>i << 2), buffer);
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
    const meta = metaOf(metadata, buffer);
    v128.store(meta, described);
    v128.store(meta, zero, 16);
  }
  store<u32>(pool, head + count, POOL_HEAD);
  store<u32>(pool, flow + count, POOL_FLOW);
  return <i32>count;
}

/** Buffers start on the worker's stack, and come back to it from drop. */
function takeFree(worker: usize, pool: usize, ring: usize, mask: u32): void {
  const free = load<u32>(worker, WORKER_FREE_COUNT);
  if (free == 0) return;
  const stack: usize = load<u32>(worker, WORKER_FREE);
  const tail = load<u32>(pool, POOL_TAIL);
  for (let i: u32 = 0; i < free; i++) {
    store<u32>(ring + (<usize>((tail + i) & mask) << 2), load<u32>(stack + (<usize>(free - 1 - i) << 2)));
  }
  store<u32>(pool, tail + free, POOL_TAIL);
  store<u32>(worker, 0, WORKER_FREE_COUNT);
}
