/** Hints: where the session of a flow may be, by a hash; see ../src/layout.ts. */
import { HINT_INDEX, HINT_SHIFT, HINT_TAG_SHIFT } from '../src/layout.ts';

/** `mask` is NAT_HINT_MASK. */
// @ts-ignore: decorator
@inline export function hintBucket(hints: usize, mask: u32, hash: u32): usize {
  return hints + (<usize>(hash & mask) << HINT_SHIFT);
}
/** Index of the session that the bucket has for the hash, or 0. */
// @ts-ignore: decorator
@inline export function hintIn(bucket: usize, hash: u32): u32 {
  const same = sameTag(bucket, hash);
  return same ? load<u32>(bucket + (<usize>ctz(same) << 2)) & HINT_INDEX : 0;
}
/** A bit for each place with the hash's tag. A free place has tag 0, as some hashes: it then names session 0, which is none. */
// @ts-ignore: decorator
@inline function sameTag(bucket: usize, hash: u32): i32 {
  const tags = i32x4.shr_u(v128.load(bucket), HINT_TAG_SHIFT);
  return i32x4.bitmask(i32x4.eq(tags, i32x4.splat(hash >>> HINT_TAG_SHIFT)));
}
/** Takes the place of the same tag, a free one, or else the one that the hash says: no order of use is kept. */
export function putHint(hints: usize, mask: u32, hash: u32, index: u32): void {
  if (index > <u32>HINT_INDEX) return;
  const bucket = hintBucket(hints, mask, hash);
  let places = sameTag(bucket, hash);
  if (places == 0) places = i32x4.bitmask(i32x4.eq(v128.load(bucket), i32x4.splat(0)));
  const place: u32 = places ? ctz(places) : (hash >>> 22) & 3;
  store<u32>(bucket + (<usize>place << 2), index | ((hash >>> HINT_TAG_SHIFT) << HINT_TAG_SHIFT));
}
