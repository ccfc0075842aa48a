import { fold, isRight as isRightInline, patch as patchInline, sum20 as sum20Inline, sumBytes } from './checksum.ts';

/** Checksum of `bytes` bytes at an address, as a little-endian word; `start` is a sum to begin with. */
export function checksum(at: usize, bytes: u32, start: u32): u32 {
  return ~fold(sumBytes(at, bytes) + <u64>start) & 0xffff;
}

/** Folded sum of the 20 bytes at an address. */
export function sum20(at: usize): u32 {
  return fold(sum20Inline(at));
}

/** RFC 1624, equation 3, for one 32-bit word. */
export function patch(checksum: u32, gone: u32, come: u32): u32 {
  return patchInline(checksum, <u64>~gone, <u64>come);
}

/** 1 if the 20 bytes at an address sum up as a header with a right checksum does. */
export function isRight(at: usize): bool {
  return isRightInline(sum20Inline(at));
}
