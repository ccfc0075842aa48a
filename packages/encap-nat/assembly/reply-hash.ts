/**
 * The hash by which hints find the session of a server's packet. It need not be the bihash's: what matters is that it is
 * quickly made, for IPv4 of four packets at a time. Who makes flows collide in it sends the replies to them through the bihash.
 */

/** Odd constants, of MurmurHash3, SplitMix64 and the golden ratio. */
// @ts-ignore: decorator
@inline const M0: u32 = 0x85ebca6b;
// @ts-ignore: decorator
@inline const M1: u32 = 0xc2b2ae35;
// @ts-ignore: decorator
@inline const C0: u64 = 0x9e3779b97f4a7c15;
// @ts-ignore: decorator
@inline const C1: u64 = 0xff51afd7ed558ccd;
// @ts-ignore: decorator
@inline const C2: u64 = 0xbf58476d1ce4e5b9;
// @ts-ignore: decorator
@inline const C3: u64 = 0xc4ceb9fe1a85ec53;
// @ts-ignore: decorator
@inline const C4: u64 = 0x94d049bb133111eb;

/** Of a packet's addresses and ports, as loaded. What tells flows apart lies in the high bytes of these: shifts bring it down. */
// @ts-ignore: decorator
@inline export function replyHash(six: bool, source: usize, destination: usize, ports: u32, protocol: u32): u32 {
  if (!six) {
    const h = mix(mix(mix(protocol, load<u32>(destination)), ports), load<u32>(source)) * M1;
    return h ^ (h >>> 16);
  }
  // Side by side, since each multiplication waits for the one before, and rotated, lest differences cancel each other.
  const a = down(load<u64>(destination, 8) * C0);
  const b = rotl<u64>(down(load<u64>(destination) * C1), 21);
  const c = rotl<u64>(down((load<u64>(source) ^ rotl<u64>(load<u64>(source, 8), 32)) * C2), 42);
  const d = rotl<u64>(down((<u64>ports | (<u64>protocol << 32)) * C3), 11);
  return <u32>down((a + b + (c + d)) * C4);
}
// @ts-ignore: decorator
@inline function mix(h: u32, k: u32): u32 {
  const x = (h ^ k) * M0;
  return x ^ (x >>> 16);
}
// @ts-ignore: decorator
@inline function down(x: u64): u64 {
  return x ^ (x >> 32);
}

/** replyHash() of four packets over IPv4; `m0` and `m1` are replyFactor0() and 1, made before the loop. */
// @ts-ignore: decorator
@inline export function replyHashes4(
  protocol: v128,
  destination: v128,
  ports: v128,
  source: v128,
  m0: v128,
  m1: v128,
): v128 {
  const h = i32x4.mul(mix4(mix4(mix4(protocol, destination, m0), ports, m0), source, m0), m1);
  return v128.xor(h, i32x4.shr_u(h, 16));
}
// @ts-ignore: decorator
@inline function mix4(h: v128, k: v128, m0: v128): v128 {
  const x = i32x4.mul(v128.xor(h, k), m0);
  return v128.xor(x, i32x4.shr_u(x, 16));
}
// @ts-ignore: decorator
@inline export function replyFactor0(): v128 {
  return i32x4.splat(M0);
}
// @ts-ignore: decorator
@inline export function replyFactor1(): v128 {
  return i32x4.splat(M1);
}
