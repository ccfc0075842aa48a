/**
 * What every kernel needs of the graph, inlined: where a packet is, its metadata, counters, and the way to the next node.
 * See src/layout.ts for the layouts.
 */
import {
  FEATURE_MASKS,
  FEATURE_STRIDE,
  FRAME_SHIFT,
  META_DATA,
  META_REASON,
  META_RX,
  METADATA_SHIFT,
  NODE_ARC,
  NODE_ARC_END,
  NODE_COUNTERS,
  NODE_FANOUT,
  NODE_POSITION,
  NODE_REASON,
  NODE_STANDS_FOR,
  NODE_WORKER,
  STANDS_FOR_STRIDE,
  WORKER_FRAMES,
  WORKER_FREE,
  WORKER_FREE_COUNT,
  WORKER_METADATA,
  WORKER_NOW,
} from '../src/layout.ts';

/** Address of the worker block. */
// @ts-ignore: decorator
@inline export function workerOf(node: usize): usize {
  return load<u32>(node, NODE_WORKER);
}
/** Seconds, monotonic. */
// @ts-ignore: decorator
@inline export function nowOf(node: usize): u32 {
  return load<u32>(workerOf(node), WORKER_NOW);
}
/** Address of frame 0. Load once per vector. */
// @ts-ignore: decorator
@inline export function framesOf(node: usize): usize {
  return load<u32>(workerOf(node), WORKER_FRAMES);
}
/** Address of buffer 0's metadata. Load once per vector. */
// @ts-ignore: decorator
@inline export function metadataOf(node: usize): usize {
  return load<u32>(workerOf(node), WORKER_METADATA);
}
/** Buffer index at place `i` of a vector. */
// @ts-ignore: decorator
@inline export function bufferAt(vector: usize, i: i32): usize {
  return load<u32>(vector + (<usize>i << 2));
}
/** Address of the metadata of a buffer. */
// @ts-ignore: decorator
@inline export function metaOf(metadata: usize, buffer: usize): usize {
  return metadata + (buffer << METADATA_SHIFT);
}
/** Address of a buffer's current header. */
// @ts-ignore: decorator
@inline export function dataOf(frames: usize, buffer: usize, meta: usize): usize {
  return frames + (buffer << FRAME_SHIFT) + load<u16>(meta, META_DATA);
}
/** Adds to the node's counter at place `counter` of its declaration. Call once a vector, with the vector's sum. */
// @ts-ignore: decorator
@inline export function count(node: usize, counter: usize, n: u64): void {
  const at: usize = <usize>load<u32>(node, NODE_COUNTERS) + (counter << 3);
  store<u64>(at, load<u64>(at) + n);
}
/** Says why the packet is dropped or punted; the `drop` or `punt` node counts it. */
// @ts-ignore: decorator
@inline export function reason(node: usize, meta: usize, counter: u32): void {
  store<u16>(meta, load<u32>(node, NODE_REASON) + counter, META_REASON);
}
/** Slot of member 0 of the node's fan-out. Load once per vector. */
// @ts-ignore: decorator
@inline export function fanoutOf(node: usize): u32 {
  return load<u32>(node, NODE_FANOUT);
}
/**
 * Address of the node's column of its arc's table. Load once per vector; nextFeature() then gives the slot of the next
 * enabled feature on the packet's interface, or of the arc's end.
 */
// @ts-ignore: decorator
@inline export function arcOf(node: usize): usize {
  return <usize>load<u32>(node, NODE_ARC) + (<usize>load<u32>(node, NODE_POSITION) << 1);
}
// @ts-ignore: decorator
@inline export function nextFeature(arc: usize, meta: usize): i32 {
  return load<u16>(arc + <usize>load<u16>(meta, META_RX) * (FEATURE_STRIDE << 1));
}
/** For a node that watches an arc: true if the interface has any of the arc's features enabled. Once per run of its packets. */
// @ts-ignore: decorator
@inline export function hasFeatures(node: usize, rx: u32): bool {
  const row: usize = <usize>load<u32>(node, NODE_ARC) + <usize>rx * (FEATURE_STRIDE << 1);
  return <u32>load<u16>(row) != load<u32>(node, NODE_ARC_END);
}
/** For a node that watches an arc: a bit for each of the arc's features that the interface has enabled. */
// @ts-ignore: decorator
@inline export function featuresOf(node: usize, rx: u32): u32 {
  return load<u16>(<usize>load<u32>(node, NODE_ARC) + FEATURE_MASKS + (<usize>rx << 1));
}
/** Of these bits, that of the feature at `place` of those that the node stands for. */
// @ts-ignore: decorator
@inline export function featureBit(node: usize, place: usize): u32 {
  return load<u32>(node + place * STANDS_FOR_STRIDE, NODE_STANDS_FOR);
}
/** Adds to a counter of that feature's node. */
// @ts-ignore: decorator
@inline export function countFor(node: usize, place: usize, counter: usize, n: u64): void {
  const counters: usize = load<u32>(node + place * STANDS_FOR_STRIDE, NODE_STANDS_FOR + 4);
  const at = counters + (counter << 3);
  store<u64>(at, load<u64>(at) + n);
}
/** Gives a buffer back to the worker, which must own it. */
// @ts-ignore: decorator
@inline export function freeBuffer(worker: usize, buffer: usize): void {
  const n: usize = load<u32>(worker, WORKER_FREE_COUNT);
  store<u32>(<usize>load<u32>(worker, WORKER_FREE) + (n << 2), <u32>buffer);
  store<u32>(worker, <u32>(n + 1), WORKER_FREE_COUNT);
}
/** Takes a free buffer of the worker: there must be one, see WORKER_FREE_COUNT. */
// @ts-ignore: decorator
@inline export function takeBuffer(worker: usize): usize {
  const n = load<u32>(worker, WORKER_FREE_COUNT) - 1;
  store<u32>(worker, n, WORKER_FREE_COUNT);
  return load<u32>(<usize>load<u32>(worker, WORKER_FREE) + (<usize>n << 2));
}
/**
 * Loads the cache lines at `count` addresses (u32 each at `addresses`), so that the loop that uses them does not wait. It
 * does nothing else, and four in a step: a load that misses holds up what follows once the reorder buffer is full, so
 * the fewer instructions lie between loads, the more misses are under way at a time. (WebAssembly has no prefetch.) Store
 * the result somewhere, so that no compiler drops the loads.
 */
export function touchLines(addresses: usize, count: i32): u32 {
  let a: u32 = 0;
  let b: u32 = 0;
  let c: u32 = 0;
  let d: u32 = 0;
  const end = addresses + (<usize>(count & ~3) << 2);
  for (; addresses < end; addresses += 16) {
    a += load<u32>(load<u32>(addresses));
    b += load<u32>(load<u32>(addresses, 4));
    c += load<u32>(load<u32>(addresses, 8));
    d += load<u32>(load<u32>(addresses, 12));
  }
  for (let i = count & 3; i > 0; i--, addresses += 4) a += load<u32>(load<u32>(addresses));
  return a + b + c + d;
}
