/**
 * Rewriting what is not usual: addresses alone, and the packet that an ICMP error quotes. Checksums are updated incrementally,
 * so damage stays visible (RFC 5508, section 4, lets a NAT drop such; then the receiver does).
 */
import { META_L4, META_LENGTH } from '@lbd/graph/src/layout.ts';
import { quotedIp, quotedL4, quotedProtocol } from '@lbd/lb/assembly/icmp.ts';
import { not16, patch } from '@lbd/packet/assembly/checksum.ts';
import {
  ICMP_CHECKSUM,
  IP4_CHECKSUM,
  IP4_DESTINATION,
  IP4_SOURCE,
  IP6_DESTINATION,
  IP6_SOURCE,
  PROTOCOL_TCP,
  TCP_CHECKSUM,
  UDP_CHECKSUM,
} from '@lbd/packet/src/layout.ts';
import { exchange } from './session.ts';

/** Offset of an IP header's source or destination. */
// @ts-ignore: decorator
@inline export function sourceAt(six: bool): usize {
  return six ? IP6_SOURCE : IP4_SOURCE;
}
// @ts-ignore: decorator
@inline export function destinationAt(six: bool): usize {
  return six ? IP6_DESTINATION : IP4_DESTINATION;
}

/**
 * Gives an IP header another source or destination, the IP checksum included.
 * @param at offset of the address
 * @param address address of what it becomes
 * @returns what that adds to the complement of a checksum over a pseudo-header
 */
export function readdress(six: bool, ip: usize, at: usize, address: usize): u64 {
  const change = exchange(six, ip + at, address);
  if (!six) store<u16>(ip, <u16>patch(load<u16>(ip, IP4_CHECKSUM), change, 0), IP4_CHECKSUM);
  memory.copy(ip + at, address, six ? 16 : 4);
  return change;
}

/**
 * Gives one side of the packet that an ICMP error quotes (see quotationOf of @lbd/lb) another address and port, in its checksums, as
 * far as they are quoted, and in ICMP's.
 * @param source true for the source's side, else the destination's
 * @param address address of what the address becomes
 * @param port what the port becomes, wire order
 */
export function requote(
  six: bool,
  ip: usize,
  meta: usize,
  quotation: u64,
  source: bool,
  address: usize,
  port: u32,
): void {
  const quoted = ip + quotedIp(quotation);
  const l4 = ip + quotedL4(quotation);
  const portAt = l4 + (source ? 0 : 2);
  const before: u32 = load<u16>(quoted, IP4_CHECKSUM);
  const addresses = readdress(six, quoted, source ? sourceAt(six) : destinationAt(six), address);
  const ports = not16(load<u16>(portAt)) + <u64>port;
  store<u16>(portAt, <u16>port);
  let change = addresses + ports;
  if (!six) change += not16(before) + <u64>load<u16>(quoted, IP4_CHECKSUM);
  const tcp = quotedProtocol(quotation) == PROTOCOL_TCP;
  const field = l4 + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
  const end = ip + <usize>load<u16>(meta, META_LENGTH);
  if (field + 2 <= end && (tcp || load<u16>(field) != 0)) {
    const gone: u32 = load<u16>(field);
    const patched = patch(gone, addresses + ports, 0);
    const come: u32 = patched == 0 && !tcp ? 0xffff : patched;
    store<u16>(field, <u16>come);
    change += not16(gone) + <u64>come;
  }
  patchIcmp(ip, meta, change);
}

/** Adds to the complement of an ICMP message's checksum. */
// @ts-ignore: decorator
@inline export function patchIcmp(ip: usize, meta: usize, change: u64): void {
  const icmp = ip + <usize>load<u16>(meta, META_L4);
  store<u16>(icmp, <u16>patch(load<u16>(icmp, ICMP_CHECKSUM), change, 0), ICMP_CHECKSUM);
}
/** Gives an ICMP error another outer source or destination: ICMPv6's checksum covers them (RFC 4443, section 2.3). */
export function readdressError(six: bool, ip: usize, meta: usize, at: usize, address: usize): void {
  const change = readdress(six, ip, at, address);
  if (six) patchIcmp(ip, meta, change);
}
