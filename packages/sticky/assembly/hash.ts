/**
 * The hash by which a sticky table knows a flow, for kernels: of addresses as they lie in the header, and of `ports`, the u32 that
 * the first four bytes of the TCP or UDP header make, loaded little-endian (0: without ports). It decides nothing but places
 * in tables, so it is what is cheap to compute, for one packet or four at a time: two rounds of xor-shift and multiply (the
 * constants are Chris Wellons' lowbias32), over a seed that few packets differ in. `secret` is the address of two u64 that
 * nobody else should know, so that nobody can tell which bucket a flow has. It is not cryptographic: flows that have one hash can
 * be constructed without it (README.md).
 */

// @ts-ignore: decorator
@inline const A: u32 = 0x9e3779b1;
// @ts-ignore: decorator
@inline const B: u32 = 0x7feb352d;
// @ts-ignore: decorator
@inline const C: u32 = 0x846ca68b;
/** 2^64 divided by the golden ratio, and another odd word without a pattern. */
// @ts-ignore: decorator
@inline const WIDE: u64 = 0x9e3779b97f4a7c15;
// @ts-ignore: decorator
@inline const WIDE2: u64 = 0xd6e8feb86659fd93;

/** What packets to one address have in common. `destination`: as loaded. */
export function stickySeed4(secret: usize, destination: u32): u32 {
  return folded((<u64>destination ^ load<u64>(secret)) * WIDE);
}
/** The same; `destination`: where the 16 bytes are. */
export function stickySeed6(secret: usize, destination: usize): u32 {
  return folded(
    (load<u64>(destination) ^ load<u64>(secret)) * WIDE + (load<u64>(destination, 8) ^ load<u64>(secret, 8)) * WIDE2,
  );
}
// @ts-ignore: decorator
@inline export function stickyHash4(seed: u32, source: u32, ports: u32): u32 {
  return mixed(seed ^ source, ports);
}
/** `source`: where the 16 bytes are. */
// @ts-ignore: decorator
@inline export function stickyHash6(seed: u32, source: usize, ports: u32): u32 {
  return mixed(seed ^ folded(load<u64>(source) * WIDE + load<u64>(source, 8) * WIDE2), ports);
}
/** Writes the constants of stickyHashes4(): three vectors. */
export function stickyConstants(at: usize): void {
  v128.store(at, i32x4.splat(A));
  v128.store(at, i32x4.splat(B), 16);
  v128.store(at, i32x4.splat(C), 32);
}
/** stickyHash4() of four packets to one address. `a`, `b`, `c`: of stickyConstants(), loaded before the loop: V8 would make them anew in each turn. */
// @ts-ignore: decorator
@inline export function stickyHashes4(seeds: v128, sources: v128, ports: v128, a: v128, b: v128, c: v128): v128 {
  let h = i32x4.mul(v128.xor(seeds, sources), a);
  h = i32x4.add(v128.xor(h, i32x4.shr_u(h, 16)), ports);
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 16)), b);
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 15)), c);
  return v128.xor(h, i32x4.shr_u(h, 16));
}

// @ts-ignore: decorator
@inline function folded(word: u64): u32 {
  return <u32>(word ^ (word >> 32));
}
// @ts-ignore: decorator
@inline function mixed(from: u32, ports: u32): u32 {
  let h = from * A;
  h = (h ^ (h >>> 16)) + ports;
  h = (h ^ (h >>> 16)) * B;
  h = (h ^ (h >>> 15)) * C;
  return h ^ (h >>> 16);
}
