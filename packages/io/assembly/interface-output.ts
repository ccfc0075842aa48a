import { fanoutOf, metadataOf, metaOf, reason, workerOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import {
  INTERFACE_DRIVER,
  INTERFACE_FLAGS,
  INTERFACE_SHIFT,
  INTERFACE_UP,
  MAX_INTERFACES,
  META_TX,
  WORKER_INTERFACES,
} from '@lbd/graph/src/layout.ts';
import { OUTPUT_INTERFACE_DOWN, OUTPUT_NO_INTERFACE } from '../src/layout.ts';

const DROP: u32 = 0;

/** The next slot is the output node of the driver of the interface META_TX, or drop. */
export function interfaceOutput(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const interfaces: usize = load<u32>(workerOf(node), WORKER_INTERFACES);
  const fanout = fanoutOf(node);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  for (let from = vector; from < end; ) {
    const meta = metaOf(metadata, load<u32>(from));
    const slot = slotOf(node, meta, interfaces, fanout);
    let at = from + 4;
    // A reason is written for each.
    if (slot != DROP) at = sameInterface(at, end, metadata, load<u16>(meta, META_TX));
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

/** The place of the first packet for another interface. Four at a time: the loop itself costs as much as a look at a packet. */
function sameInterface(at: usize, end: usize, metadata: usize, tx: u32): usize {
  for (; at + 16 <= end; at += 16) {
    const a = txOf(metadata, load<u32>(at)) ^ tx;
    const b = txOf(metadata, load<u32>(at, 4)) ^ tx;
    const c = txOf(metadata, load<u32>(at, 8)) ^ tx;
    const d = txOf(metadata, load<u32>(at, 12)) ^ tx;
    if ((a | b) | (c | d)) break;
  }
  while (at < end && txOf(metadata, load<u32>(at)) == tx) at += 4;
  return at;
}
// @ts-ignore: decorator
@inline function txOf(metadata: usize, buffer: usize): u32 {
  return load<u16>(metaOf(metadata, buffer), META_TX);
}

// @ts-ignore: decorator
@inline function slotOf(node: usize, meta: usize, interfaces: usize, fanout: u32): u32 {
  const tx: i32 = load<u16>(meta, META_TX);
  if (tx >= MAX_INTERFACES) {
    reason(node, meta, OUTPUT_NO_INTERFACE);
    return DROP;
  }
  const entry = interfaces + (<usize>tx << INTERFACE_SHIFT);
  if ((load<u32>(entry, INTERFACE_FLAGS) & INTERFACE_UP) == 0) {
    reason(node, meta, OUTPUT_INTERFACE_DOWN);
    return DROP;
  }
  return fanout + load<u32>(entry, INTERFACE_DRIVER);
}
