/**
 * IPv4 headers of four packets at a time, for loops over usual packets: a word of each header beside that of the others, in a
 * vector of four lanes. What each function returns has a lane that is not zero for each packet that is otherwise.
 */

/** Bytes 0 to 3 of a header as loaded: the low byte is version and header length, without options. */
// @ts-ignore: decorator
@inline const VERSION_IHL = 0x45;
/** MF and fragment offset in bytes 4 to 7 as loaded. */
// @ts-ignore: decorator
@inline const FRAGMENT = 0xff3f0000;

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

/**
 * Other than what ip4-input takes for usual: IPv4 without options, not a fragment, from a source that may be one, with the
 * right checksum. The TTL and lengths are not looked at. `w0` to `w3`: bytes 0 to 15 of the headers; `to`: destinations.
 */
// @ts-ignore: decorator
@inline export function isOther4(w0: v128, w1: v128, w2: v128, w3: v128, to: v128): v128 {
  const byte = i32x4.splat(0xff);
  const version = v128.xor(v128.and(w0, byte), i32x4.splat(VERSION_IHL));
  const fragment = v128.and(w1, i32x4.splat(FRAGMENT));
  // not 0.0.0.0/8, 127.0.0.0/8, nor 224.0.0.0 and above (RFC 1812, section 5.3.7)
  const network = v128.and(w3, byte);
  const source = v128.or(
    i32x4.gt_s(network, i32x4.splat(223)),
    v128.or(i32x4.eq(network, i32x4.splat(127)), i32x4.eq(network, i32x4.splat(0))),
  );
  // Ten halves add up to less than 0xa0000; one fold leaves at most 0xffff + 9, which is right only if it is 0xffff.
  const half = i32x4.splat(0xffff);
  const low = i32x4.add(
    i32x4.add(i32x4.add(v128.and(w0, half), v128.and(w1, half)), i32x4.add(v128.and(w2, half), v128.and(w3, half))),
    v128.and(to, half),
  );
  const high = i32x4.add(
    i32x4.add(i32x4.add(i32x4.shr_u(w0, 16), i32x4.shr_u(w1, 16)), i32x4.add(i32x4.shr_u(w2, 16), i32x4.shr_u(w3, 16))),
    i32x4.shr_u(to, 16),
  );
  const sum = i32x4.add(low, high);
  const checksum = v128.xor(i32x4.add(v128.and(sum, half), i32x4.shr_u(sum, 16)), half);
  return v128.or(v128.or(version, fragment), v128.or(source, checksum));
}

/** Total lengths, of bytes 0 to 3 of the headers. */
// @ts-ignore: decorator
@inline export function lengthOf4(w0: v128): v128 {
  return v128.or(i32x4.shr_u(w0, 24), v128.and(i32x4.shr_u(w0, 8), i32x4.splat(0xff00)));
}
