import { get16 } from './bytes.ts';

/**
 * The Internet checksum (RFC 1071). A *sum* here is a ones' complement sum of big-endian 16-bit words, folded or not;
 * a *checksum* is the complement of a folded sum, as it stands in a header.
 */

/** Folds a sum to 16 bits (RFC 1071, section 4.1). */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return folded;
}

/** The sum of the bytes, not folded; an odd last byte counts as the high byte of a word. */
export function sum(bytes: Uint8Array, start = 0): number {
  let total = start;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) total += get16(bytes, i);
  return even === bytes.length ? total : total + (bytes[even]! << 8);
}

/** The checksum of the bytes (whose checksum field is 0), after a pseudo-header's sum if there is one. */
export function checksum(bytes: Uint8Array, pseudo = 0): number {
  return ~fold(sum(bytes, pseudo)) & 0xffff;
}

/** True if the checksum inside the bytes is right. */
export function verifies(bytes: Uint8Array, pseudo = 0): boolean {
  return fold(sum(bytes, pseudo)) === 0xffff;
}

/**
 * A checksum after a change of the data (RFC 1624, equation 3: HC' = ~(~HC + ~m + m')).
 * @param gone the 16-bit words that were there
 * @param come the words that are there instead; as many
 */
export function patch(before: number, gone: readonly number[], come: readonly number[]): number {
  let total = ~before & 0xffff;
  for (const word of gone) total += ~word & 0xffff;
  for (const word of come) total += word;
  return ~fold(total) & 0xffff;
}

/**
 * The sum of the pseudo-header of IPv4 (RFC 9293, section 3.1) or IPv6 (RFC 8200, section 8.1).
 * @param src 4 or 16 bytes
 * @param dst as many
 * @param length of L4 header and payload, bytes
 */
export function pseudoHeader(src: Uint8Array, dst: Uint8Array, protocol: number, length: number): number {
  return sum(src) + sum(dst) + protocol + (length >>> 16) + (length & 0xffff);
}
