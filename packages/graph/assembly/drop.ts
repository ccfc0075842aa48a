import { META_REASON, WORKER_COUNTERS } from '../src/layout.ts';
import { bufferAt, freeBuffer, metadataOf, metaOf, workerOf } from './abi.ts';

/** Counts each packet by its reason, and frees it. */
export function drop(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const worker = workerOf(node);
  const metadata = metadataOf(node);
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    countReason(worker, metaOf(metadata, buffer));
    freeBuffer(worker, buffer);
  }
  return 0;
}

/** Adds one to the counter that the packet's META_REASON names. */
// @ts-ignore: decorator
@inline export function countReason(worker: usize, meta: usize): void {
  const at: usize = <usize>load<u32>(worker, WORKER_COUNTERS) + (<usize>load<u16>(meta, META_REASON) << 3);
  store<u64>(at, load<u64>(at) + 1);
}
