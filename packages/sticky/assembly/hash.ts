/**
 * The hash by which a sticky table knows a flow, for kernels: of addresses as they lie in the header, and of `ports`, the u32 that
 * the first four bytes of the TCP or UDP header make, loaded little-endian (0: without ports). It decides nothing but places
 * in tables, so it is what is cheap to compute, for one packet or four at a time: source and ports, a secret added to each, are
 * multiplied (NH of UMAC, RFC 4418, section 5.2: two flows have one product with a probability of 2^-32, whatever they differ in),
 * and the product is folded and mixed (the constant is of Chris Wellons' lowbias32). The 16 bytes of an IPv6 address are made a word in
 * the same way before. `secret` is the address of two u64 that
 * nobody else should know: without them nobody can tell which bucket a flow has, nor which flows have one hash.
 */

// @ts-ignore: decorator
@inline const A: u32 = 0x9e3779b1;
// @ts-ignore: decorator
@inline const B: u32 = 0x7feb352d;
/** 2^64 divided by the golden ratio, and another odd word without a pattern. */
// @ts-ignore: decorator
@inline const WIDE: u64 = 0x9e3779b97f4a7c15;
// @ts-ignore: decorator
@inline const WIDE2: u64 = 0xd6e8feb86659fd93;

/** What is added to sources: packets to one address have it in common. `destination`: as loaded. */
export function stickySeed4(secret: usize, destination: u32): u32 {
  return folded((<u64>destination ^ load<u64>(secret)) * WIDE);
}
/** The same; `destination`: where the 16 bytes are. */
export function stickySeed6(secret: usize, destination: usize): u32 {
  // Mixed, so that what differs by steps in both, addresses that follow each other, does not add up to one sum.
  return mixed(wordOf(destination, load<u64>(secret) ^ WIDE, load<u64>(secret, 8) ^ WIDE2));
}
/** What is added to ports. */
// @ts-ignore: decorator
@inline export function stickyKey(secret: usize): u32 {
  return (load<u32>(secret, 12) ^ A) | 1;
}
/** What is added to the four words of an IPv6 source, two by two. Turned, so that no bit of the secret does here what it does in the seed. */
// @ts-ignore: decorator
@inline export function stickyHigh(secret: usize): u64 {
  return rotl<u64>(load<u64>(secret), 32) ^ WIDE2;
}
// @ts-ignore: decorator
@inline export function stickyLow(secret: usize): u64 {
  return rotl<u64>(load<u64>(secret, 8), 32) ^ WIDE;
}

/** `seed`, `key`: of stickySeed4() and stickyKey(). */
// @ts-ignore: decorator
@inline export function stickyHash4(seed: u32, key: u32, source: u32, ports: u32): u32 {
  return mixed(<u64>(source + seed) * <u64>(ports + key));
}
/** `source`: where the 16 bytes are. `high`, `low`: of stickyHigh() and stickyLow(). */
// @ts-ignore: decorator
@inline export function stickyHash6(seed: u32, key: u32, high: u64, low: u64, source: usize, ports: u32): u32 {
  return mixed(<u64>(wordOf(source, high, low) + seed) * <u64>(ports + key));
}
/** Writes the constants of stickyHashes4(): two vectors. */
export function stickyConstants(at: usize, secret: usize): void {
  v128.store(at, i32x4.splat(stickyKey(secret)));
  v128.store(at, i32x4.splat(B), 16);
}
/** stickyHash4() of four packets to one address. `keys`, `b`: of stickyConstants(), loaded before the loop: V8 would make them anew in each turn. */
// @ts-ignore: decorator
@inline export function stickyHashes4(seeds: v128, sources: v128, ports: v128, keys: v128, b: v128): v128 {
  const x = i32x4.add(sources, seeds);
  const y = i32x4.add(ports, keys);
  const low = i64x2.extmul_low_i32x4_u(x, y);
  const high = i64x2.extmul_high_i32x4_u(x, y);
  let h = v128.xor(
    v128.shuffle<u32>(low, high, 0, 2, 4, 6),
    v128.shuffle<u32>(low, high, 1, 3, 5, 7),
  );
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 16)), b);
  return v128.xor(h, i32x4.shr_u(h, 15));
}

/** Of 16 bytes one word. */
// @ts-ignore: decorator
@inline function wordOf(address: usize, high: u64, low: u64): u32 {
  // u32: of a sum that becomes a u64 the compiler would add u64, with a carry.
  const a: u32 = load<u32>(address) + <u32>high;
  const b: u32 = load<u32>(address, 4) + <u32>(high >> 32);
  const c: u32 = load<u32>(address, 8) + <u32>low;
  const d: u32 = load<u32>(address, 12) + <u32>(low >> 32);
  return <u32>(((<u64>a * <u64>b + <u64>c * <u64>d) * WIDE) >> 32);
}
// @ts-ignore: decorator
@inline function folded(word: u64): u32 {
  return <u32>(word ^ (word >> 32));
}
// @ts-ignore: decorator
@inline function mixed(product: u64): u32 {
  let h = folded(product);
  h = (h ^ (h >>> 16)) * B;
  return h ^ (h >>> 15);
}
