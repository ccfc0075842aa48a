import { bufferAt, metaOf, metadataOf } from './abi.ts';
export function probe(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return load<u8>(metaOf(metadataOf(node), bufferAt(vector, 0)));
}
