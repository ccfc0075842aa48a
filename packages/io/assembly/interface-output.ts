import { bufferAt, fanoutOf, metadataOf, metaOf, reason, workerOf } from '@lbd/graph/assembly/abi.ts';
import {
  INTERFACE_DRIVER,
  INTERFACE_FLAGS,
  INTERFACE_SHIFT,
  INTERFACE_UP,
  MAX_INTERFACES,
  META_TX,
  MIXED,
  WORKER_INTERFACES,
} from '@lbd/graph/src/layout.ts';
import { OUTPUT_INTERFACE_DOWN, OUTPUT_NO_INTERFACE } from '../src/layout.ts';

const DROP: u32 = 0;

/** The next slot is the output node of the driver of the interface META_TX, or drop. */
export function interfaceOutput(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const interfaces: usize = load<u32>(workerOf(node), WORKER_INTERFACES);
  const fanout = fanoutOf(node);
  const first = slotOf(node, metaOf(metadata, bufferAt(vector, 0)), interfaces, fanout);
  store<u16>(nexts, first);
  let differ: u32 = 0;
  for (let i = 1; i < count; i++) {
    const slot = slotOf(node, metaOf(metadata, bufferAt(vector, i)), interfaces, fanout);
    store<u16>(nexts + (<usize>i << 1), slot);
    differ |= slot ^ first;
  }
  return differ == 0 ? <i32>first : MIXED;
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
