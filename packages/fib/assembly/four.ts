/**
 * IPv4 headers of four packets at a time, for loops over usual packets: a word of each header beside that of the others, in a
 * vector of four lanes. What each function returns has a lane that is not zero for each packet that is otherwise.
 */
import {
  FOUR_BIAS,
  FOUR_BYTE,
  FOUR_HALF,
  FOUR_HIGH_BYTE,
  FOUR_LOOPBACK,
  FOUR_ONES,
  FOUR_UNICAST,
} from '../src/layout.ts';

/** The first, second, third or fourth word of each of four vectors. */
// @ts-ignore: decorator
@inline export function lowPairs(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 0, 4, 1, 5);
}
// @ts-ignore: decorator
@inline export function highPairs(a: v128, b: v128): v128 {
  return i32x4.shuffle(a, b, 2, 6, 3, 7);
}
/** Of two results of lowPairs() or highPairs(): the first of its two words, for all four. */
// @ts-ignore: decorator
@inline export function firstWords(ab: v128, cd: v128): v128 {
  return i64x2.shuffle(ab, cd, 0, 2);
}
/** The second. */
// @ts-ignore: decorator
@inline export function secondWords(ab: v128, cd: v128): v128 {
  return i64x2.shuffle(ab, cd, 1, 3);
}

/** Writes the FOUR_ vectors. */
export function fourConstants(at: usize): void {
  v128.store(at, i32x4.splat(0xffff), FOUR_HALF);
  v128.store(at, i32x4.splat(0xff), FOUR_BYTE);
  v128.store(at, i32x4.splat(0xff00), FOUR_HIGH_BYTE);
  v128.store(at, i32x4.splat(0x80008000), FOUR_BIAS);
  v128.store(at, i32x4.splat(0x10001), FOUR_ONES);
  v128.store(at, i32x4.splat(127), FOUR_LOOPBACK);
  v128.store(at, i32x4.splat(223), FOUR_UNICAST);
}

/** Sum of two neighbouring halves of each word, less than it is by 0x10000: products of signed halves are what adds neighbours. */
// @ts-ignore: decorator
@inline export function biasedHalves(words: v128, bias: v128, ones: v128): v128 {
  return i32x4.dot_i16x8_s(v128.xor(words, bias), ones);
}
/** Wrong header checksums. `w0` to `w3`: bytes 0 to 15 of the headers; `rest`: the destination's halves, and 8 x 0x8000 for the bias. */
// @ts-ignore: decorator
@inline export function badChecksum4(
  w0: v128,
  w1: v128,
  w2: v128,
  w3: v128,
  rest: v128,
  bias: v128,
  ones: v128,
  half: v128,
): v128 {
  const s01 = i32x4.add(biasedHalves(w0, bias, ones), biasedHalves(w1, bias, ones));
  const s23 = i32x4.add(biasedHalves(w2, bias, ones), biasedHalves(w3, bias, ones));
  const sum = i32x4.add(i32x4.add(s01, s23), rest);
  // Ten halves add up to less than 0xa0000; one fold leaves at most 0xffff + 9, which is right only if it is 0xffff.
  return v128.xor(i32x4.add(v128.and(sum, half), i32x4.shr_u(sum, 16)), half);
}
/** Sources that nobody can have: 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0 and above (RFC 1812, section 5.3.7). */
// @ts-ignore: decorator
@inline export function badSource4(source: v128, byte: v128, unicast: v128, loopback: v128): v128 {
  const network = v128.and(source, byte);
  return v128.or(
    i32x4.gt_s(network, unicast),
    v128.or(i32x4.eq(network, loopback), i32x4.eq(network, i32x4.splat(0))),
  );
}

/** Total lengths, of bytes 0 to 3 of the headers. */
// @ts-ignore: decorator
@inline export function lengthOf4(w0: v128, highByte: v128): v128 {
  return v128.or(i32x4.shr_u(w0, 24), v128.and(i32x4.shr_u(w0, 8), highByte));
}
