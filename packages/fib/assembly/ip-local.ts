import { arcOf, bufferAt, metadataOf, metaOf, nextFeature, reason } from '@lbd/graph/assembly/abi.ts';
import { LOCAL_PUNTED } from '../src/nodes/places.ts';
import { allNexts, setNext } from './next.ts';

/** Packets for the host itself: the kernel's, unless a feature on the way there takes them. */
export function ipLocal(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const arc = arcOf(node);
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const meta = metaOf(metadata, bufferAt(vector, i));
    reason(node, meta, LOCAL_PUNTED);
    differ |= setNext(nexts, i, nextFeature(arc, meta));
  }
  return allNexts(nexts, differ);
}
