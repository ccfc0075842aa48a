/**
 * The packet that an ICMP error is about (RFC 792; RFC 4443, section 3): whose flow it is of. Nothing here looks past the packet's
 * end, whatever its bytes say.
 */
import { META_L4, META_LENGTH, META_PROTOCOL, PROTOCOL_NONE } from '@lbd/graph/src/layout.ts';
import {
  ICMP4_PARAMETER_PROBLEM,
  ICMP4_TIME_EXCEEDED,
  ICMP4_UNREACHABLE,
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_UNREACHABLE,
  ICMP_BYTES,
  IP4_BYTES,
  IP4_DESTINATION,
  IP4_FRAGMENT,
  IP4_OFFSET_MASK,
  IP4_PROTOCOL,
  IP4_SOURCE,
  IP6_BYTES,
  IP6_DESTINATION,
  IP6_EXTENSION_LENGTH,
  IP6_EXTENSION_NEXT,
  IP6_FRAGMENT_BYTES,
  IP6_FRAGMENT_OFFSET,
  IP6_MAX_EXTENSIONS,
  IP6_NEXT_HEADER,
  IP6_SOURCE,
  PROTOCOL_AH,
  PROTOCOL_DESTINATION_OPTIONS,
  PROTOCOL_FRAGMENT,
  PROTOCOL_HOP_BY_HOP,
  PROTOCOL_ICMP4,
  PROTOCOL_ICMP6,
  PROTOCOL_ROUTING,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '@lbd/packet/src/layout.ts';

/**
 * What the packet at `ip`, an ICMP error, is about: a word for the functions below, 0 if it is no such error or quotes too little of an
 * IP header of its own family. META_LENGTH, META_L4 and META_PROTOCOL must be right. IPv4: types 3, 11 and 12; not
 * redirects (5), which are for the first hop only, nor source quench (4), which is to be ignored (RFC 6633). ICMPv6: types 1 to 4.
 */
export function quotationOf(ip: usize, meta: usize): u64 {
  const length: u32 = load<u16>(meta, META_LENGTH);
  const l4: u32 = load<u16>(meta, META_L4);
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  if (l4 + ICMP_BYTES > length) return 0;
  const type: u32 = load<u8>(ip + <usize>l4);
  if (load<u8>(ip) >> 4 == 4) {
    if (protocol != PROTOCOL_ICMP4) return 0;
    if (type != ICMP4_UNREACHABLE && type != ICMP4_TIME_EXCEEDED && type != ICMP4_PARAMETER_PROBLEM) return 0;
    return quoted4(ip, l4 + ICMP_BYTES, length);
  }
  if (protocol != PROTOCOL_ICMP6 || type < <u32>ICMP6_UNREACHABLE || type > <u32>ICMP6_PARAMETER_PROBLEM) return 0;
  return quoted6(ip, l4 + ICMP_BYTES, length);
}

/** Offset from the outer IP header to the quoted one. */
// @ts-ignore: decorator
@inline export function quotedIp(quotation: u64): usize {
  return <usize>(quotation & 0xffff);
}
/** Offset from the outer IP header to the quoted L4 header (or payload, of a later fragment); perhaps the packet's end. */
// @ts-ignore: decorator
@inline export function quotedL4(quotation: u64): usize {
  return <usize>(quotation >> 16) & 0xffff;
}
/** Protocol of what is at quotedL4(); PROTOCOL_NONE if the quoted packet is a later fragment. */
// @ts-ignore: decorator
@inline export function quotedProtocol(quotation: u64): u32 {
  return <u32>(quotation >> 32) & 0xff;
}
/** True if the quoted packet is TCP or UDP, and its ports are there. */
// @ts-ignore: decorator
@inline export function quotedHasPorts(quotation: u64): bool {
  return (quotation & HAS_PORTS) != 0;
}
/**
 * The quoted packet's ports, swapped, as the first four bytes of a TCP or UDP header in the other direction make, loaded
 * little-endian: the ports of the flow when its client is who the quoted packet went to. 0 if there are none.
 */
// @ts-ignore: decorator
@inline export function clientPorts(ip: usize, quotation: u64): u32 {
  return quotedHasPorts(quotation) ? rotl<u32>(load<u32>(ip + quotedL4(quotation)), 16) : 0;
}
/** Addresses of a quoted IPv4 packet, swapped: source and destination as the client's packets have them. */
// @ts-ignore: decorator
@inline export function clientAddresses4(ip: usize, quotation: u64): u64 {
  return rotl<u64>(load<u64>(ip + quotedIp(quotation), IP4_SOURCE), 32);
}
/** The same for IPv6: writes the 32 bytes to `to`, which may be where the quoted packet has them. */
// @ts-ignore: decorator
@inline export function clientAddresses6(ip: usize, quotation: u64, to: usize): void {
  const quoted = ip + quotedIp(quotation);
  const source = v128.load(quoted, IP6_SOURCE);
  const destination = v128.load(quoted, IP6_DESTINATION);
  v128.store(to, destination);
  v128.store(to, source, 16);
}
/** True if the quoted packet's source is the outer one's destination: the error came back to who sent what it is about. */
// @ts-ignore: decorator
@inline export function isToQuotedSource(ip: usize, quotation: u64): bool {
  const quoted = ip + quotedIp(quotation);
  if (load<u8>(ip) >> 4 == 4) return load<u32>(quoted, IP4_SOURCE) == load<u32>(ip, IP4_DESTINATION);
  return (
    load<u64>(quoted, IP6_SOURCE) == load<u64>(ip, IP6_DESTINATION) &&
    load<u64>(quoted, IP6_SOURCE + 8) == load<u64>(ip, IP6_DESTINATION + 8)
  );
}

const HAS_PORTS: u64 = 1 << 40;

// @ts-ignore: decorator
@inline function quotation(at: u32, l4: u32, protocol: u32, length: u32): u64 {
  const hasPorts = (protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP) && l4 + 4 <= length;
  return <u64>at | ((<u64>l4) << 16) | ((<u64>protocol) << 32) | (hasPorts ? HAS_PORTS : 0);
}

/** The quoted length is not looked at: some senders quote it in another byte order, or without the header. */
export function quoted4(ip: usize, at: u32, length: u32): u64 {
  if (at + IP4_BYTES > length) return 0;
  const quoted = ip + <usize>at;
  const first: u32 = load<u8>(quoted);
  const header = (first & 15) << 2;
  if (first >> 4 != 4 || header < <u32>IP4_BYTES || at + header > length) return 0;
  const later = (<u32>bswap<u16>(load<u16>(quoted, IP4_FRAGMENT)) & IP4_OFFSET_MASK) != 0;
  return quotation(at, at + header, later ? PROTOCOL_NONE : load<u8>(quoted, IP4_PROTOCOL), length);
}

/** Walks the extension headers, at most IP6_MAX_EXTENSIONS. A quotation that ends within them says nothing of the flow. */
export function quoted6(ip: usize, at: u32, length: u32): u64 {
  if (at + IP6_BYTES > length || load<u8>(ip + <usize>at) >> 4 != 6) return 0;
  let protocol: u32 = load<u8>(ip + <usize>at, IP6_NEXT_HEADER);
  let offset = at + IP6_BYTES;
  for (let n = 0; isExtension(protocol); n++) {
    if (n == IP6_MAX_EXTENSIONS || offset + 8 > length) return 0;
    const header = ip + <usize>offset;
    const size: u32 = load<u8>(header, IP6_EXTENSION_LENGTH);
    const next: u32 = load<u8>(header, IP6_EXTENSION_NEXT);
    if (protocol == PROTOCOL_FRAGMENT) {
      offset += IP6_FRAGMENT_BYTES;
      if (<u32>bswap<u16>(load<u16>(header, IP6_FRAGMENT_OFFSET)) & 0xfff8) return quotation(at, offset, PROTOCOL_NONE, length);
    } else offset += protocol == PROTOCOL_AH ? (size + 2) << 2 : (size + 1) << 3;
    if (offset > length) return 0;
    protocol = next;
  }
  return quotation(at, offset, protocol, length);
}

// @ts-ignore: decorator
@inline function isExtension(protocol: u32): bool {
  return (
    protocol == PROTOCOL_HOP_BY_HOP ||
    protocol == PROTOCOL_ROUTING ||
    protocol == PROTOCOL_FRAGMENT ||
    protocol == PROTOCOL_AH ||
    protocol == PROTOCOL_DESTINATION_OPTIONS
  );
}
