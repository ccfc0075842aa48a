/**
 * af_xdp-output: puts packets on the TX ring of the interface META_TX. What finds the ring full, the interface without a
 * queue for this worker, or has an impossible length, is dropped and counted at the interface.
 */
import { bufferAt, freeBuffer, metadataOf, metaOf, workerOf } from '@lbd/graph/assembly/abi.ts';
import {
  FRAME_BYTES,
  FRAME_SHIFT,
  INTERFACE_COUNTER_BYTES,
  INTERFACE_TX_BYTES,
  INTERFACE_TX_DROPS,
  INTERFACE_TX_PACKETS,
  MAX_INTERFACES,
  META_DATA,
  META_LENGTH,
  META_TX,
  NODE_DATA,
  WORKER_INTERFACE_COUNTERS,
} from '@lbd/graph/src/layout.ts';
import {
  OUTPUT_BLOCKS,
  SHORTEST_FRAME,
  TX_CONSUMER,
  TX_ENTRIES,
  TX_MASK,
  TX_PRODUCER,
  TX_SEEN,
  TX_UNTOLD,
  TX_WRITTEN,
} from '../src/layout.ts';

/** Output node: consumes the vector. */
export function afXdpOutput(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  let from = 0;
  while (from < count) {
    // a run of packets for one interface: usually the whole vector
    const tx = load<u16>(metaOf(metadata, bufferAt(vector, from)), META_TX);
    let to = from + 1;
    while (to < count && load<u16>(metaOf(metadata, bufferAt(vector, to)), META_TX) == tx) to++;
    send(node, metadata, vector, from, to, tx & (MAX_INTERFACES - 1));
    from = to;
  }
  return 0;
}

function send(node: usize, metadata: usize, vector: usize, from: i32, to: i32, tx: usize): void {
  const worker = workerOf(node);
  const queue: usize = atomic.load<u32>(node + NODE_DATA + (tx << 2), OUTPUT_BLOCKS);
  let written: u32 = 0;
  let room: u32 = 0;
  let entries: usize = 0;
  let mask: u32 = 0;
  if (queue != 0) {
    written = load<u32>(queue, TX_WRITTEN);
    entries = load<u32>(queue, TX_ENTRIES);
    mask = load<u32>(queue, TX_MASK);
    room = mask + 1 - (written - load<u32>(queue, TX_SEEN));
    if (room < <u32>(to - from)) {
      const seen = atomic.load<u32>(load<u32>(queue, TX_CONSUMER));
      store<u32>(queue, seen, TX_SEEN);
      room = mask + 1 - (written - seen);
    }
  }
  let sent: u32 = 0;
  let bytes: u64 = 0;
  for (let i = from; i < to; i++) {
    const buffer = <u32>bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const data: u32 = load<u16>(meta, META_DATA);
    const length: u32 = load<u16>(meta, META_LENGTH);
    // The kernel skips an invalid entry and never gives its buffer back.
    if (sent == room || length < <u32>SHORTEST_FRAME || data + length > <u32>FRAME_BYTES) {
      freeBuffer(worker, buffer);
      continue;
    }
    const entry = entries + (<usize>((written + sent) & mask) << 4);
    store<u64>(entry, (<u64>buffer << FRAME_SHIFT) + data);
    store<u64>(entry, length, 8); // and no options
    sent++;
    bytes += length;
  }
  if (sent != 0) {
    store<u32>(queue, written + sent, TX_WRITTEN);
    store<u32>(queue, load<u32>(queue, TX_UNTOLD) + sent, TX_UNTOLD);
    atomic.store<u32>(load<u32>(queue, TX_PRODUCER), written + sent);
  } else if (queue != 0 && room == 0) {
    // Full of what a wake-up could not send (the interface was down): no new entry asks for another.
    store<u32>(queue, load<u32>(queue, TX_UNTOLD) | 1, TX_UNTOLD);
  }
  const counters: usize = <usize>load<u32>(worker, WORKER_INTERFACE_COUNTERS) + tx * INTERFACE_COUNTER_BYTES;
  store<u64>(counters, load<u64>(counters, INTERFACE_TX_PACKETS) + sent, INTERFACE_TX_PACKETS);
  store<u64>(counters, load<u64>(counters, INTERFACE_TX_BYTES) + bytes, INTERFACE_TX_BYTES);
  const dropped = <u32>(to - from) - sent;
  if (dropped != 0) store<u64>(counters, load<u64>(counters, INTERFACE_TX_DROPS) + dropped, INTERFACE_TX_DROPS);
}
