/**
 * lb-tunnel-errors, on the arc of packets for addresses of the host: ICMP errors about packets that lbd sent into a tunnel are
 * about the clients' packets inside. The router's headers and the tunnel's are taken off; what is left, the client's packet
 * as far as the router quoted it, goes where ICMP errors are made. Nothing here looks past the packet's end.
 */
import { hash16, search16 } from '@lbd/bihash/assembly/bihash16.ts';
import { askIcmpError } from '@lbd/fib/assembly/icmp-error.ts';
import { arcOf, bufferAt, dataOf, framesOf, metadataOf, metaOf, nextFeature, reason } from '@lbd/graph/assembly/abi.ts';
import {
  FLAG_FIRST_FRAGMENT,
  FLAG_LATER_FRAGMENT,
  META_DATA,
  META_FLAGS,
  META_L4,
  META_LENGTH,
  META_PROTOCOL,
  MIXED,
  NODE_DATA,
  PROTOCOL_NONE,
} from '@lbd/graph/src/layout.ts';
import { isRight, sum16, sumBytes } from '@lbd/packet/assembly/checksum.ts';
import {
  ICMP4_FRAGMENTATION_NEEDED,
  ICMP4_TIME_EXCEEDED,
  ICMP4_UNREACHABLE,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_TIME_EXCEEDED,
  ICMP6_UNREACHABLE,
  ICMP_BYTES,
  ICMP_CODE,
  ICMP_REST,
  ICMP_SEQUENCE,
  IP4_DESTINATION,
  IP4_LENGTH,
  IP4_SOURCE,
  IP6_BYTES,
  IP6_DESTINATION,
  IP6_LENGTH,
  IP6_SOURCE,
  PROTOCOL_ICMP6,
} from '@lbd/packet/src/layout.ts';
import { LB_SOURCE4, LB_SOURCE6 } from '../src/layout.ts';
import {
  IP4_LEAST_MTU,
  IP6_LEAST_MTU,
  TUNNEL_ERRORS_BAD_CHECKSUM,
  TUNNEL_ERRORS_ENDS,
  TUNNEL_ERRORS_KIND,
  TUNNEL_ERRORS_KINDS,
  TUNNEL_ERRORS_LB,
  TUNNEL_ERRORS_MTU_TOO_SMALL,
  TUNNEL_ERRORS_NEXT_DROP,
  TUNNEL_ERRORS_NEXT_ICMP4_ERROR,
  TUNNEL_ERRORS_NEXT_ICMP6_ERROR,
  TUNNEL_ERRORS_OTHER,
  TUNNEL_ERRORS_TOO_BIG,
  TUNNEL_ERRORS_TOO_SHORT,
  TUNNEL_ERRORS_UNREACHABLE,
} from '../src/tunnel-layout.ts';
import {
  isToQuotedSource,
  quotationOf,
  quoted4,
  quoted6,
  quotedHasPorts,
  quotedIp,
  quotedL4,
  quotedProtocol,
} from './icmp.ts';

/** Bytes behind an L4 header's beginning by which a sender knows its packet: ports, and TCP's sequence number (RFC 792). */
const L4_QUOTED: u32 = 8;
/** Codes of "destination unreachable": host unreachable, address unreachable. */
const ICMP4_HOST: u32 = 1;
const ICMP6_ADDRESS: u32 = 3;
/** Code of "time exceeded": in reassembly. */
const REASSEMBLY: u32 = 1;
/** Code of ICMPv6 "parameter problem": the server does not know the tunnel's protocol. */
const UNKNOWN_NEXT_HEADER: u32 = 1;

export function lb_tunnel_errors(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const arc = arcOf(node);
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const quotation = ofTunnel(node, meta, ip);
    const slot: u32 = quotation == 0 ? nextFeature(arc, meta) : passOn(node, meta, ip, quotation);
    store<u16>(nexts + (<usize>i << 1), slot);
  }
  return MIXED;
}

/** What an ICMP error quotes, if that is a packet that lbd tunnelled: from its source address, to a server; else 0. */
function ofTunnel(node: usize, meta: usize, ip: usize): u64 {
  if (load<u16>(meta, META_FLAGS) & (FLAG_FIRST_FRAGMENT | FLAG_LATER_FRAGMENT)) return 0;
  const quotation = quotationOf(ip, meta);
  if (quotation == 0 || !isToQuotedSource(ip, quotation)) return 0;
  const data = node + NODE_DATA;
  const lb: usize = load<u32>(data, TUNNEL_ERRORS_LB);
  const ends: usize = load<u32>(data, TUNNEL_ERRORS_ENDS);
  const quoted = ip + quotedIp(quotation);
  if (kindOf(data, meta, ip, quotation) == 0) return 0;
  let high: u64 = 0;
  let low: u64;
  if (load<u8>(quoted) >> 4 == 4) {
    if (load<u32>(quoted, IP4_SOURCE) != load<u32>(lb, LB_SOURCE4)) return 0;
    low = <u64>load<u32>(quoted, IP4_DESTINATION) << 32;
  } else {
    if (load<u64>(quoted, IP6_SOURCE) != load<u64>(lb, LB_SOURCE6)) return 0;
    if (load<u64>(quoted, IP6_SOURCE + 8) != load<u64>(lb, LB_SOURCE6 + 8)) return 0;
    high = load<u64>(quoted, IP6_DESTINATION);
    low = load<u64>(quoted, IP6_DESTINATION + 8);
  }
  return search16(ends, hash16(high, low), high, low) == <u64>-1 ? 0 : quotation;
}

/**
 * The word of TUNNEL_ERRORS_KIND for a quoted packet; 0 if no encap sends such ones. UDP, unlike a tunnel's own protocol, the host itself
 * sends too, also to servers: only what has a packet of the right length inside is a tunnel's.
 */
function kindOf(data: usize, meta: usize, ip: usize, quotation: u64): u32 {
  const quoted = ip + quotedIp(quotation);
  const wanted: u32 = ((<u32>load<u8>(quoted) >> 4) << 8) | quotedProtocol(quotation);
  const kinds: u32 = load<u32>(data, TUNNEL_ERRORS_KINDS);
  for (let n: u32 = 0; n < kinds; n++) {
    const kind = load<u32>(data + (<usize>n << 2), TUNNEL_ERRORS_KIND);
    if (kind >>> 8 != wanted) continue;
    if (!quotedHasPorts(quotation) || carries(meta, ip, <u32>quotedIp(quotation), kind & 0xff)) return kind;
  }
  return 0;
}

/** True if behind `overhead` bytes of the quoted packet there is one that fills it to its end. */
function carries(meta: usize, ip: usize, quoted: u32, overhead: u32): bool {
  const at = quoted + overhead;
  const end = endOfQuotation(meta, ip);
  if ((at < end && load<u8>(ip + <usize>at) >> 4 == 4 ? quoted4(ip, at, end) : quoted6(ip, at, end)) == 0) return false;
  return lengthOf(ip + <usize>quoted) == lengthOf(ip + <usize>at) + overhead;
}
// @ts-ignore: decorator
@inline function lengthOf(ip: usize): u32 {
  if (load<u8>(ip) >> 4 == 4) return bswap<u16>(load<u16>(ip, IP4_LENGTH));
  return IP6_BYTES + <u32>bswap<u16>(load<u16>(ip, IP6_LENGTH));
}

/** Makes the packet the one that was inside, and says which error is to be sent about it. Returns the next slot. */
function passOn(node: usize, meta: usize, ip: usize, quotation: u64): u32 {
  if (!hasRightChecksum(meta, ip)) return refuse(node, meta, TUNNEL_ERRORS_BAD_CHECKSUM);
  const overhead = kindOf(node + NODE_DATA, meta, ip, quotation) & 0xff;
  const at: u32 = <u32>quotedIp(quotation) + overhead;
  const end = endOfQuotation(meta, ip);
  const inside = ip + <usize>at;
  const is4 = at < end && load<u8>(inside) >> 4 == 4;
  const own = at >= end ? 0 : is4 ? quoted4(ip, at, end) : quoted6(ip, at, end);
  if (own == 0) return refuse(node, meta, TUNNEL_ERRORS_TOO_SHORT);
  const l4 = <u32>quotedL4(own) - at;
  const length = lengthOf(inside);
  const came = length < end - at ? length : end - at;
  const least = length < l4 + L4_QUOTED ? length : l4 + L4_QUOTED;
  if (came < l4 || came < least) return refuse(node, meta, TUNNEL_ERRORS_TOO_SHORT);

  const mtu = mtuSaid(meta, ip, quotation);
  if (mtu != 0) {
    // Less than links must take is not told to anybody: RFC 791, section 3.2; RFC 8200, section 5
    let left = mtu > overhead ? mtu - overhead : 0;
    if (is4) left = left < <u32>IP4_LEAST_MTU ? IP4_LEAST_MTU : left;
    else if (left < <u32>IP6_LEAST_MTU) {
      if (length <= <u32>IP6_LEAST_MTU) return refuse(node, meta, TUNNEL_ERRORS_MTU_TOO_SMALL);
      left = IP6_LEAST_MTU;
    }
    reason(node, meta, TUNNEL_ERRORS_TOO_BIG);
    if (is4) askIcmpError(meta, ICMP4_UNREACHABLE, ICMP4_FRAGMENTATION_NEEDED, left);
    else askIcmpError(meta, ICMP6_PACKET_TOO_BIG, 0, left);
  } else {
    if (!saysUnreachable(meta, ip)) return refuse(node, meta, TUNNEL_ERRORS_OTHER);
    reason(node, meta, TUNNEL_ERRORS_UNREACHABLE);
    if (is4) askIcmpError(meta, ICMP4_UNREACHABLE, ICMP4_HOST, 0);
    else askIcmpError(meta, ICMP6_UNREACHABLE, ICMP6_ADDRESS, 0);
  }
  const protocol = quotedProtocol(own);
  store<u16>(meta, <u32>load<u16>(meta, META_DATA) + at, META_DATA);
  store<u16>(meta, came, META_LENGTH);
  store<u16>(meta, l4, META_L4);
  store<u8>(meta, protocol, META_PROTOCOL);
  if (protocol == PROTOCOL_NONE) store<u16>(meta, load<u16>(meta, META_FLAGS) | FLAG_LATER_FRAGMENT, META_FLAGS);
  return is4 ? TUNNEL_ERRORS_NEXT_ICMP4_ERROR : TUNNEL_ERRORS_NEXT_ICMP6_ERROR;
}

// @ts-ignore: decorator
@inline function refuse(node: usize, meta: usize, why: u32): u32 {
  reason(node, meta, why);
  return TUNNEL_ERRORS_NEXT_DROP;
}

// @ts-ignore: decorator
@inline function icmpOf(meta: usize, ip: usize): usize {
  return ip + <usize>load<u16>(meta, META_L4);
}

function hasRightChecksum(meta: usize, ip: usize): bool {
  const bytes = <u32>load<u16>(meta, META_LENGTH) - <u32>load<u16>(meta, META_L4);
  let sum = sumBytes(icmpOf(meta, ip), bytes);
  // the pseudo-header's length and protocol are the low bytes of big-endian words
  if (load<u8>(ip) >> 4 == 6) {
    sum += sum16(ip + IP6_SOURCE) + sum16(ip + IP6_DESTINATION) + <u64>bswap<u16>(<u16>bytes) + (PROTOCOL_ICMP6 << 8);
  }
  return isRight(sum);
}

/**
 * Offset from the IP header to the end of the quoted packet: of the packet, or where extensions begin (RFC 4884; the length is in
 * words of 4 bytes in ICMP, of 8 in ICMPv6).
 */
function endOfQuotation(meta: usize, ip: usize): u32 {
  const length: u32 = load<u16>(meta, META_LENGTH);
  const icmp = icmpOf(meta, ip);
  const type: u32 = load<u8>(icmp);
  let quoted: u32 = 0;
  if (load<u8>(ip) >> 4 == 4) quoted = <u32>load<u8>(icmp, ICMP_REST + 1) << 2;
  else if (type == ICMP6_UNREACHABLE || type == ICMP6_TIME_EXCEEDED) quoted = <u32>load<u8>(icmp, ICMP_REST) << 3;
  const end = <u32>load<u16>(meta, META_L4) + ICMP_BYTES + quoted;
  return quoted != 0 && end < length ? end : length;
}

/** The MTU that the router says the tunnel packet is too big for; 0 if it says something else. */
function mtuSaid(meta: usize, ip: usize, quotation: u64): u32 {
  const icmp = icmpOf(meta, ip);
  const type: u32 = load<u8>(icmp);
  if (load<u8>(ip) >> 4 == 6) {
    if (type != ICMP6_PACKET_TOO_BIG) return 0;
    const mtu = bswap<u32>(load<u32>(icmp, ICMP_REST));
    return mtu == 0 ? 1 : mtu;
  }
  if (type != ICMP4_UNREACHABLE || load<u8>(icmp, ICMP_CODE) != ICMP4_FRAGMENTATION_NEEDED) return 0;
  const mtu: u32 = bswap<u16>(load<u16>(icmp, ICMP_SEQUENCE));
  return mtu != 0 ? mtu : plateauBelow(bswap<u16>(load<u16>(ip + quotedIp(quotation), IP4_LENGTH)));
}

/** What a router that does not say its MTU may have: RFC 1191, section 7.1. */
function plateauBelow(length: u32): u32 {
  if (length > 8166) return 8166;
  if (length > 4352) return 4352;
  if (length > 2002) return 2002;
  if (length > 1492) return 1492;
  if (length > 1006) return 1006;
  if (length > 508) return 508;
  if (length > 296) return 296;
  return IP4_LEAST_MTU;
}

/**
 * True for what means that the server is not reached (RFC 2003, section 4; RFC 2473, section 8): unreachable, whatever of it is;
 * run round in a loop; or a server that has no tunnel.
 */
function saysUnreachable(meta: usize, ip: usize): bool {
  const icmp = icmpOf(meta, ip);
  const type: u32 = load<u8>(icmp);
  const code: u32 = load<u8>(icmp, ICMP_CODE);
  if (load<u8>(ip) >> 4 == 4) return type == ICMP4_UNREACHABLE || (type == ICMP4_TIME_EXCEEDED && code != REASSEMBLY);
  if (type == ICMP6_PARAMETER_PROBLEM) return code == UNKNOWN_NEXT_HEADER;
  return type == ICMP6_UNREACHABLE || (type == ICMP6_TIME_EXCEEDED && code != REASSEMBLY);
}
