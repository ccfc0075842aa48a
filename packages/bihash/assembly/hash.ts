/**
 * The hash: each word is mixed in by a multiplication with an odd constant and a shift that brings the strong high half
 * down (WebAssembly multiplies 64 by 64 bits, but has no high half of the product), then a finaliser of the same kind.
 * The constants are those of MurmurHash3 and SplitMix64. It is not keyed: who chooses keys can make them collide, which
 * costs time in one bucket, up to MAX_LOG2_PAGES.
 */
// @ts-ignore: decorator
@inline export function hashOf(words: u32, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64): u32 {
  let h = mixIn(0x9e3779b97f4a7c15, k0);
  if (words > 1) h = mixIn(h, k1);
  if (words > 2) h = mixIn(h, k2);
  if (words > 3) h = mixIn(mixIn(h, k3), k4);
  h *= 0x94d049bb133111eb;
  return <u32>(h ^ (h >> 32));
}
// @ts-ignore: decorator
@inline function mixIn(h: u64, k: u64): u64 {
  h = (h ^ k) * 0xff51afd7ed558ccd;
  return h ^ (h >> 32);
}
