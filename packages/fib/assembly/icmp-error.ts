/** What ICMP errors of both families have in common. */
import { META_OPAQUE } from '@lbd/graph/src/layout.ts';
import { fold, sumBytes } from '@lbd/packet/assembly/checksum.ts';
import {
  ICMP_BYTES,
  ICMP_CHECKSUM,
  ICMP_CODE,
  ICMP_REST,
  ICMP_TYPE,
} from '@lbd/packet/src/layout.ts';
import { ICMP_ERROR_CODE_SHIFT, ICMP_ERROR_MTU_MASK, ICMP_ERROR_TYPE_SHIFT } from '../src/layout.ts';

/**
 * Says which error ip4-icmp-error or ip6-icmp-error is to make of a packet. Its current header must be the IP header as it
 * came, with META_L4, META_PROTOCOL and the fragment flags as the input nodes set them, and META_REASON must say why.
 * @param mtu host order; 0 if the error has none
 */
// @ts-ignore: decorator
@inline export function askIcmpError(meta: usize, type: u32, code: u32, mtu: u32): void {
  const least = mtu < <u32>ICMP_ERROR_MTU_MASK ? mtu : ICMP_ERROR_MTU_MASK;
  store<u32>(meta, (type << ICMP_ERROR_TYPE_SHIFT) | (code << ICMP_ERROR_CODE_SHIFT) | least, META_OPAQUE);
}
/** Type of the error that a packet is to become. */
// @ts-ignore: decorator
@inline export function askedType(meta: usize): u32 {
  return load<u32>(meta, META_OPAQUE) >> ICMP_ERROR_TYPE_SHIFT;
}
/**
 * Writes the ICMP message that was asked for, around the `quoted` bytes behind its header.
 * @param pseudo sum of the pseudo-header, not folded
 */
export function writeIcmpError(icmp: usize, meta: usize, quoted: u32, pseudo: u64): void {
  const asked = load<u32>(meta, META_OPAQUE);
  store<u8>(icmp, asked >> ICMP_ERROR_TYPE_SHIFT, ICMP_TYPE);
  store<u8>(icmp, asked >> ICMP_ERROR_CODE_SHIFT, ICMP_CODE);
  store<u16>(icmp, 0, ICMP_CHECKSUM);
  // "fragmentation needed" has its MTU in the last two bytes (RFC 1191), "packet too big" in all four
  store<u32>(icmp, bswap<u32>(asked & ICMP_ERROR_MTU_MASK), ICMP_REST);
  store<u16>(icmp, ~fold(sumBytes(icmp, ICMP_BYTES + quoted) + pseudo), ICMP_CHECKSUM);
}
