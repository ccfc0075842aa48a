/**
 * Where things are, and how one page is searched. `words` is the key's size in words, a constant at every call: the
 * compiler drops the branches that other sizes take. Key words beyond the size are ignored.
 */
import { TABLE_BYTES, TABLE_MASK } from '../src/layout.ts';

/** Value of a free entry, and what a search returns if there is no such key. */
// @ts-ignore: decorator
@inline export const NONE: u64 = 0xffffffffffffffff;

// @ts-ignore: decorator
@inline export function bucketOf(table: usize, hash: u32): usize {
  return table + TABLE_BYTES + ((<usize>hash & load<u32>(table, TABLE_MASK)) << 3);
}
/** log2 of a page's bytes. */
// @ts-ignore: decorator
@inline export function pageShift(words: u32): u32 {
  return words == 1 ? 6 : words == 5 ? 8 : 7;
}
/** Address of the key of entry `slot` (0 to 3) of a page. */
// @ts-ignore: decorator
@inline export function keyAt(words: u32, page: usize, slot: usize): usize {
  return words == 1 ? page + (slot << 3) : words == 5 ? page + (slot << 6) : page + (slot << 5);
}
/** Address of the value of the entry whose key is at `key`. */
// @ts-ignore: decorator
@inline export function valueAt(words: u32, key: usize): usize {
  return words == 1 ? key + 32 : key + (words << 3);
}
// @ts-ignore: decorator
@inline export function sameKey(words: u32, key: usize, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64): bool {
  if (atomic.load<u64>(key) != k0) return false;
  if (words > 1) if (atomic.load<u64>(key, 8) != k1) return false;
  if (words > 2) if (atomic.load<u64>(key, 16) != k2) return false;
  if (words > 3) if (atomic.load<u64>(key, 24) != k3 || atomic.load<u64>(key, 32) != k4) return false;
  return true;
}
/**
 * A set bit for each entry of the page that may have the key: its first word, or first two, are the same. Bits 0 to 3;
 * the others are 0, which the reader in bihash.ts makes use of.
 */
// @ts-ignore: decorator
@inline export function candidates(words: u32, page: usize, k0: u64, k1: u64): u32 {
  if (words == 1) {
    const key = i64x2.splat(k0);
    const low = i64x2.bitmask(i64x2.eq(v128.load(page), key));
    return low | (i64x2.bitmask(i64x2.eq(v128.load(page, 16), key)) << 2);
  }
  const key = i64x2.replace_lane(i64x2.splat(k0), 1, k1);
  const e0 = i64x2.eq(v128.load(page), key);
  const e1 = i64x2.eq(v128.load(keyAt(words, page, 1)), key);
  const e2 = i64x2.eq(v128.load(keyAt(words, page, 2)), key);
  const e3 = i64x2.eq(v128.load(keyAt(words, page, 3)), key);
  return both(e0, e1) | (both(e2, e3) << 2);
}
// A bit for each of two comparisons: both lanes were equal.
// @ts-ignore: decorator
@inline function both(a: v128, b: v128): u32 {
  return i64x2.bitmask(v128.and(v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3)));
}
