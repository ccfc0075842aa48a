import { bufferAt, metadataOf, metaOf, reason } from '@lbd/graph/assembly/abi.ts';
import { LOCAL_PUNTED } from '../src/nodes/places.ts';

const PUNT: i32 = 0;

/** Packets for the host itself: the kernel's. */
export function ipLocal(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  for (let i = 0; i < count; i++) reason(node, metaOf(metadata, bufferAt(vector, i)), LOCAL_PUNTED);
  return PUNT;
}
