/**
 * af_xdp-input: takes received packets off the RX rings of the worker's queues, round robin; and moves buffers between
 * the completion rings, the worker's free stack and the fill rings.
 *
 * Ring protocol (Documentation/networking/af_xdp.rst): who produces writes entries, then the producer index; who consumes
 * reads entries, then writes the consumer index. WebAssembly's atomics are sequentially consistent: more than the
 * acquire and release that are needed.
 */
import { metadataOf, metaOf, workerOf } from '@lbd/graph/assembly/abi.ts';
import {
  FRAME_BYTES,
  FRAME_SHIFT,
  INTERFACE_COUNTER_BYTES,
  INTERFACE_RX_BYTES,
  INTERFACE_RX_DROPS,
  INTERFACE_RX_PACKETS,
  META_RX,
  NODE_DATA,
  WORKER_FREE,
  WORKER_FREE_COUNT,
  WORKER_INTERFACE_COUNTERS,
} from '@lbd/graph/src/layout.ts';
import {
  COMPLETION_CONSUMER,
  COMPLETION_ENTRIES,
  COMPLETION_MASK,
  COMPLETION_PRODUCER,
  COMPLETION_TAKEN,
  FILL_CONSUMER,
  FILL_ENTRIES,
  FILL_MASK,
  FILL_PRODUCER,
  FILL_WANTED,
  FILL_WRITTEN,
  INPUT_BLOCKS,
  INPUT_COUNT,
  INPUT_FIRST,
  QUEUE_INTERFACE,
  REFILL_BATCH,
  REFILL_RESERVE,
  RX_CONSUMER,
  RX_ENTRIES,
  RX_LOST,
  RX_MASK,
  RX_PRODUCER,
  RX_TAKEN,
} from '../src/layout.ts';

/** Input node: fills the vector with up to `count` packets, and returns how many. */
export function afXdpInput(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const data = node + NODE_DATA;
  const queues = atomic.load<u32>(data, INPUT_COUNT);
  if (queues == 0) return 0;
  const worker = workerOf(node);
  const metadata = metadataOf(node);
  let at = load<u32>(data, INPUT_FIRST);
  if (at >= queues) at = 0;
  store<u32>(data, at + 1, INPUT_FIRST);
  let received: u32 = 0;
  for (let i: u32 = 0; i < queues; i++) {
    const queue: usize = load<u32>(data + (<usize>at << 2), INPUT_BLOCKS);
    if (load<u32>(queue, RX_LOST) != 0) countLost(worker, queue);
    reclaim(worker, queue);
    refill(worker, queue);
    received += receive(worker, metadata, queue, vector + (<usize>received << 2), <u32>count - received);
    at = at + 1 == queues ? 0 : at + 1;
  }
  return received;
}

/** Books what the kernel dropped: see AfXdpWorker. */
function countLost(worker: usize, queue: usize): void {
  const index = load<u32>(queue, QUEUE_INTERFACE);
  const counters: usize = <usize>load<u32>(worker, WORKER_INTERFACE_COUNTERS) + <usize>index * INTERFACE_COUNTER_BYTES;
  store<u64>(counters, load<u64>(counters, INTERFACE_RX_DROPS) + load<u32>(queue, RX_LOST), INTERFACE_RX_DROPS);
  store<u32>(queue, 0, RX_LOST);
}

/** Buffers that were sent are free again. */
function reclaim(worker: usize, queue: usize): void {
  const taken = load<u32>(queue, COMPLETION_TAKEN);
  const sent = atomic.load<u32>(load<u32>(queue, COMPLETION_PRODUCER)) - taken;
  if (sent == 0) return;
  const entries: usize = load<u32>(queue, COMPLETION_ENTRIES);
  const mask = load<u32>(queue, COMPLETION_MASK);
  const free = load<u32>(worker, WORKER_FREE_COUNT);
  const stack: usize = <usize>load<u32>(worker, WORKER_FREE) + (<usize>free << 2);
  for (let i: u32 = 0; i < sent; i++) {
    const address = load<u32>(entries + (<usize>((taken + i) & mask) << 3));
    store<u32>(stack + (<usize>i << 2), address >>> FRAME_SHIFT);
  }
  store<u32>(worker, free + sent, WORKER_FREE_COUNT);
  store<u32>(queue, taken + sent, COMPLETION_TAKEN);
  atomic.store<u32>(load<u32>(queue, COMPLETION_CONSUMER), taken + sent);
}

/** Gives the kernel free buffers to receive into. */
function refill(worker: usize, queue: usize): void {
  const written = load<u32>(queue, FILL_WRITTEN);
  const wanted = load<u32>(queue, FILL_WANTED);
  const there = written - atomic.load<u32>(load<u32>(queue, FILL_CONSUMER));
  if (there >= wanted) return; // less is wanted than before, perhaps
  let missing = wanted - there;
  if (missing < min<u32>(REFILL_BATCH, wanted >> 2)) return;
  const free = load<u32>(worker, WORKER_FREE_COUNT);
  if (free <= <u32>REFILL_RESERVE) return;
  missing = min<u32>(missing, free - REFILL_RESERVE);
  const entries: usize = load<u32>(queue, FILL_ENTRIES);
  const mask = load<u32>(queue, FILL_MASK);
  const stack: usize = <usize>load<u32>(worker, WORKER_FREE) + (<usize>(free - missing) << 2);
  for (let i: u32 = 0; i < missing; i++) {
    const buffer: u64 = load<u32>(stack + (<usize>i << 2));
    store<u64>(entries + (<usize>((written + i) & mask) << 3), buffer << FRAME_SHIFT);
  }
  store<u32>(worker, free - missing, WORKER_FREE_COUNT);
  store<u32>(queue, written + missing, FILL_WRITTEN);
  atomic.store<u32>(load<u32>(queue, FILL_PRODUCER), written + missing);
}

/** Takes up to `room` packets off the RX ring. */
function receive(worker: usize, metadata: usize, queue: usize, vector: usize, room: u32): u32 {
  const taken = load<u32>(queue, RX_TAKEN);
  const n = min<u32>(atomic.load<u32>(load<u32>(queue, RX_PRODUCER)) - taken, room);
  if (n == 0) return 0;
  const entries: usize = load<u32>(queue, RX_ENTRIES);
  const mask = load<u32>(queue, RX_MASK);
  const index = load<u32>(queue, QUEUE_INTERFACE);
  const rx: u64 = <u64>index << (META_RX * 8);
  const zero = i64x2.splat(0);
  let bytes: u64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const entry = entries + (<usize>((taken + i) & mask) << 4);
    const address = load<u32>(entry); // the UMEM is smaller than 4 GiB
    const length = load<u32>(entry, 8);
    const buffer = address >>> FRAME_SHIFT;
    const meta = metaOf(metadata, buffer);
    store<u32>(vector + (<usize>i << 2), buffer);
    // META_DATA, META_LENGTH, META_RX and no flags in one word
    v128.store(meta, i64x2.replace_lane(zero, 0, (address & (FRAME_BYTES - 1)) | (<u64>length << 16) | rx));
    v128.store(meta, zero, 16);
    bytes += length;
  }
  store<u32>(queue, taken + n, RX_TAKEN);
  atomic.store<u32>(load<u32>(queue, RX_CONSUMER), taken + n);
  const counters: usize = <usize>load<u32>(worker, WORKER_INTERFACE_COUNTERS) + <usize>index * INTERFACE_COUNTER_BYTES;
  store<u64>(counters, load<u64>(counters, INTERFACE_RX_PACKETS) + n, INTERFACE_RX_PACKETS);
  store<u64>(counters, load<u64>(counters, INTERFACE_RX_BYTES) + bytes, INTERFACE_RX_BYTES);
  return n;
}
