import {
  INTERFACE_COUNTER_BYTES,
  INTERFACE_RX_BYTES,
  INTERFACE_RX_DROPS,
  INTERFACE_RX_PACKETS,
  INTERFACE_TX_BYTES,
  INTERFACE_TX_DROPS,
  INTERFACE_TX_PACKETS,
  WORKER_INTERFACE_COUNTERS,
} from '@lbd/graph';
import type { Memory } from '@lbd/memory';

/** What went through an interface. Drops are those of the driver: rings full, packets too big, the kernel refusing. */
export interface InterfaceCounters {
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
  readonly rxDrops: bigint;
  readonly txPackets: bigint;
  readonly txBytes: bigint;
  readonly txDrops: bigint;
}

/** Counts what a driver's input node received on an interface. Once a vector and interface, with the sum. */
export function countReceived(memory: Memory, worker: number, index: number, packets: number, bytes: number): void {
  const at = countersOf(memory, worker, index);
  add(memory, at + INTERFACE_RX_PACKETS, packets);
  add(memory, at + INTERFACE_RX_BYTES, bytes);
}

/** Counts what a driver's output node sent on an interface. */
export function countSent(memory: Memory, worker: number, index: number, packets: number, bytes: number): void {
  const at = countersOf(memory, worker, index);
  add(memory, at + INTERFACE_TX_PACKETS, packets);
  add(memory, at + INTERFACE_TX_BYTES, bytes);
}

/** Counts packets that a driver lost on receiving. */
export function countReceiveDrops(memory: Memory, worker: number, index: number, packets: number): void {
  add(memory, countersOf(memory, worker, index) + INTERFACE_RX_DROPS, packets);
}

/** Counts packets that a driver could not send. */
export function countSendDrops(memory: Memory, worker: number, index: number, packets: number): void {
  add(memory, countersOf(memory, worker, index) + INTERFACE_TX_DROPS, packets);
}

/** The counters of an interface, summed over workers; `workers` are the addresses of their worker blocks. */
export function sumInterfaceCounters(memory: Memory, workers: Iterable<number>, index: number): InterfaceCounters {
  const sum = { rxPackets: 0n, rxBytes: 0n, rxDrops: 0n, txPackets: 0n, txBytes: 0n, txDrops: 0n };
  for (const worker of workers) {
    const at = countersOf(memory, worker, index);
    const word = (offset: number): bigint => memory.u64[(at + offset) / 8]!;
    sum.rxPackets += word(INTERFACE_RX_PACKETS);
    sum.rxBytes += word(INTERFACE_RX_BYTES);
    sum.rxDrops += word(INTERFACE_RX_DROPS);
    sum.txPackets += word(INTERFACE_TX_PACKETS);
    sum.txBytes += word(INTERFACE_TX_BYTES);
    sum.txDrops += word(INTERFACE_TX_DROPS);
  }
  return sum;
}

function countersOf(memory: Memory, worker: number, index: number): number {
  return memory.u32[(worker + WORKER_INTERFACE_COUNTERS) >>> 2]! + index * INTERFACE_COUNTER_BYTES;
}

/** Adds to a little-endian u64 by halves: a BigInt per packet or vector would be garbage to collect. */
function add(memory: Memory, address: number, n: number): void {
  const at = address >>> 2;
  const low = memory.u32[at]! + n;
  memory.u32[at] = low;
  if (low > 0xffffffff) memory.u32[at + 1]! += Math.floor(low / 0x100000000);
}
