/**
 * The Internet checksum (RFC 1071) for kernels, inlined.
 *
 * A ones' complement sum does not depend on byte order (RFC 1071, section 2.B): sums here are of little-endian words, and
 * what comes out is stored little-endian as it is.
 */

/** Folds a sum to 16 bits. */
// @ts-ignore: decorator
@inline export function fold(sum: u64): u32 {
  let s = (sum & 0xffffffff) + (sum >> 32);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  return <u32>s;
}

/**
 * True if the sum, below 2^48, folds to 0xffff: the checksum among its words is right. Less work than fold(): after one
 * fold to at most 18 bits, the multiples of 0xffff are exactly what the next one makes 0xffff.
 */
// @ts-ignore: decorator
@inline export function isRight(sum: u64): bool {
  const s = <u32>(sum & 0xffff) + <u32>((sum >> 16) & 0xffff) + <u32>(sum >> 32);
  return (s & 0xffff) + (s >> 16) == 0xffff;
}

/** Sum of 8 bytes, not folded. */
// @ts-ignore: decorator
@inline export function sum8(at: usize): u64 {
  const a = load<u64>(at);
  return (a & 0xffffffff) + (a >> 32);
}

/** Sum of 16 bytes (an IPv6 address), not folded. */
// @ts-ignore: decorator
@inline export function sum16(at: usize): u64 {
  return sum8(at) + sum8(at + 8);
}

/** Sum of 20 bytes (an IPv4 header without options), not folded; folded it is 0xffff if the header's checksum is right. */
// @ts-ignore: decorator
@inline export function sum20(at: usize): u64 {
  return sum16(at) + <u64>load<u32>(at, 16);
}

/** The complement of 16 bits, for `gone` of patch(). */
// @ts-ignore: decorator
@inline export function not16(word: u32): u64 {
  return <u64>(~word & 0xffff);
}

/** The complement of 32 bits, for `gone` of patch(). */
// @ts-ignore: decorator
@inline export function not32(word: u32): u64 {
  return <u64>~word;
}

/**
 * A checksum after a change of the data (RFC 1624, equation 3).
 * @param checksum as loaded, little-endian
 * @param gone sum of the complements of what was there
 * @param come sum of what is there instead
 */
// @ts-ignore: decorator
@inline export function patch(checksum: u32, gone: u64, come: u64): u32 {
  return ~fold(not16(checksum) + gone + come) & 0xffff;
}

/** Sum of `bytes` bytes, at most 128 KiB, not folded; an odd last byte counts as a word's first. Reads nothing behind them. */
export function sumBytes(at: usize, bytes: u32): u64 {
  // pairs of 16-bit words add up in 32-bit lanes: 128 KiB are 8192 steps of at most 2 * 0xffff a lane, below 2^32
  let even = i32x4.splat(0);
  let odd = i32x4.splat(0);
  let end = at + <usize>(bytes & ~31);
  while (at < end) {
    even = i32x4.add(even, i32x4.extadd_pairwise_i16x8_u(v128.load(at)));
    odd = i32x4.add(odd, i32x4.extadd_pairwise_i16x8_u(v128.load(at, 16)));
    at += 32;
  }
  if (bytes & 16) {
    even = i32x4.add(even, i32x4.extadd_pairwise_i16x8_u(v128.load(at)));
    at += 16;
  }
  const wide = i64x2.add(
    i64x2.add(i64x2.extend_low_i32x4_u(even), i64x2.extend_high_i32x4_u(even)),
    i64x2.add(i64x2.extend_low_i32x4_u(odd), i64x2.extend_high_i32x4_u(odd)),
  );
  let sum: u64 = i64x2.extract_lane(wide, 0) + i64x2.extract_lane(wide, 1);
  if (bytes & 8) {
    sum += sum8(at);
    at += 8;
  }
  if (bytes & 4) {
    sum += <u64>load<u32>(at);
    at += 4;
  }
  if (bytes & 2) {
    sum += <u64>load<u16>(at);
    at += 2;
  }
  if (bytes & 1) sum += <u64>load<u8>(at);
  return sum;
}
