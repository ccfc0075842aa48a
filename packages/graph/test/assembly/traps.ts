/** Kernels that fail, each in its way, as long as the first packet's first byte says so; else they pass packets on. */
import { bufferAt, dataOf, framesOf, metadataOf, metaOf } from '../../assembly/abi.ts';
import { META_DATA, META_LENGTH } from '../../src/layout.ts';

// @ts-ignore: decorator
@inline function wanted(node: usize, vector: usize): bool {
  const buffer = bufferAt(vector, 0);
  return load<u8>(dataOf(framesOf(node), buffer, metaOf(metadataOf(node), buffer))) != 0;
}

export function trap(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  if (wanted(node, vector)) unreachable();
  return 0;
}

/** Spoils half of the vector's packets and their metadata, then stores where there is no memory. */
export function out_of_bounds(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  if (!wanted(node, vector)) return 0;
  for (let i = 0; i < count >> 1; i++) {
    const meta = metaOf(metadataOf(node), bufferAt(vector, i));
    store<u16>(meta, 0xffff, META_DATA);
    store<u16>(meta, 0xffff, META_LENGTH);
    store<u16>(nexts + (<usize>i << 1), 0xffff);
  }
  store<u32>(<usize>0xfffffff0, 1);
  return 0;
}

export function overflow(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return wanted(node, vector) ? deeper(count) : 0;
}

function deeper(n: i32): i32 {
  return n == -1 ? 0 : deeper(n + 1) + n;
}

export function divide(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return wanted(node, vector) ? count / (count - count) : 0;
}
