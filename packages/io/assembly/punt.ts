import { bufferAt, fanoutOf, metadataOf, metaOf, workerOf } from '@lbd/graph/assembly/abi.ts';
import { countReason } from '@lbd/graph/assembly/drop.ts';
import {
  INTERFACE_DRIVER,
  INTERFACE_SHIFT,
  MAX_INTERFACES,
  META_RX,
  MIXED,
  WORKER_INTERFACES,
} from '@lbd/graph/src/layout.ts';

/** Counts each packet by its reason; the next slot is the punt node of the driver of the interface META_RX. */
export function punt(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const worker = workerOf(node);
  const metadata = metadataOf(node);
  const interfaces: usize = load<u32>(worker, WORKER_INTERFACES);
  const fanout = fanoutOf(node);
  let first: u32 = 0;
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const meta = metaOf(metadata, bufferAt(vector, i));
    countReason(worker, meta);
    // Drivers write META_RX; should it be damaged, the packet still goes to a driver that frees it.
    const rx: usize = load<u16>(meta, META_RX) & (MAX_INTERFACES - 1);
    const slot = fanout + load<u32>(interfaces + (rx << INTERFACE_SHIFT), INTERFACE_DRIVER);
    store<u16>(nexts + (<usize>i << 1), slot);
    if (i == 0) first = slot;
    differ |= slot ^ first;
  }
  return differ == 0 ? <i32>first : MIXED;
}
