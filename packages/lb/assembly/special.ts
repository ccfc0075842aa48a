/**
 * Packets to VIPs that are not usual, one at a time, as they came: fragments, ICMP, and those that may not be sent on as they
 * are. What needs the packet as the client sent it is decided here, before an encap rewrites it.
 */
import { askIcmpError } from '@lbd/fib/assembly/icmp-error.ts';
import { count, nowOf, reason } from '@lbd/graph/assembly/abi.ts';
import {
  FLAG_FIRST_FRAGMENT,
  FLAG_LATER_FRAGMENT,
  META_AS,
  META_DPO,
  META_FLAGS,
  META_HASH,
  META_L4,
  META_LENGTH,
  META_OPAQUE,
  META_PROTOCOL,
  NODE_DATA,
} from '@lbd/graph/src/layout.ts';
import {
  ICMP4_ECHO,
  ICMP4_FRAGMENTATION_NEEDED,
  ICMP4_TIME_EXCEEDED,
  ICMP4_UNREACHABLE,
  ICMP6_ECHO,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_TIME_EXCEEDED,
  ICMP_BYTES,
  IP4_DF,
  IP4_FRAGMENT,
  IP4_TTL,
  IP6_HOP_LIMIT,
  IP6_SOURCE,
  PROTOCOL_ICMP4,
  PROTOCOL_ICMP6,
} from '@lbd/packet/src/layout.ts';
import {
  AS_MAX_LENGTH,
  AS_SHIFT,
  LB_COUNT_FRAGMENTED,
  LB_COUNT_ICMP_ERRORS,
  LB_COUNT_ICMP_UNKNOWN,
  LB_COUNT_NO_VIP,
  LB_COUNT_NOT_FRAGMENTED,
  LB_COUNT_TINY,
  LB_COUNT_TOO_BIG,
  LB_COUNT_TTL_EXPIRED,
  LB_FLAGS,
  LB_FRAGMENT,
  LB_NEXT_DROP,
  LB_NEXT_ECHO,
  LB_NEXT_FRAG,
  LB_NEXT_FRAGMENTS,
  LB_NEXT_ICMP_ERROR,
  LB_NEXT_PUNT,
  LB_SERVERS,
  VIP_MAX_LENGTH,
  VIP_MIN_TTL,
} from '../src/layout.ts';
import { encapSlot, takeKnown, takeServer } from './flow.ts';
import { isTinyFirst, rememberChoice } from './fragments.ts';
import {
  flowHashOf,
  flowHashOf4,
  flowHashOf6,
  isBySource,
  stickyHashOf,
  stickyHashOf4,
  stickyHashOf6,
  vipOfPort,
  vipRecord,
} from './hash.ts';
import {
  clientAddresses4,
  clientAddresses6,
  clientPorts,
  isToQuotedSource,
  quotationOf,
  quotedHasPorts,
  quotedIp,
  quotedProtocol,
} from './icmp.ts';

// @ts-ignore: decorator
@inline function isSix(ip: usize): bool {
  return load<u8>(ip) >> 4 == 6;
}
// @ts-ignore: decorator
@inline function ttlOf(ip: usize): u32 {
  return isSix(ip) ? load<u8>(ip, IP6_HOP_LIMIT) : load<u8>(ip, IP4_TTL);
}
// @ts-ignore: decorator
@inline function isFragment(meta: usize): bool {
  return (load<u16>(meta, META_FLAGS) & (FLAG_FIRST_FRAGMENT | FLAG_LATER_FRAGMENT)) != 0;
}
// @ts-ignore: decorator
@inline function isIcmp(ip: usize, meta: usize): bool {
  return <u32>load<u8>(meta, META_PROTOCOL) == (isSix(ip) ? <u32>PROTOCOL_ICMP6 : <u32>PROTOCOL_ICMP4);
}

/** True for packets that special() is for. `vip` 0: the packet has none. */
export function isSpecial(lb: usize, ip: usize, meta: usize, vip: u32): bool {
  if (isFragment(meta) || isIcmp(ip, meta)) return true;
  if (vip == 0) return false;
  const record = vipRecord(lb, vip);
  return load<u16>(meta, META_LENGTH) > load<u16>(record, VIP_MAX_LENGTH) || ttlOf(ip) < <u32>load<u8>(record, VIP_MIN_TTL);
}

/** Sends a packet on its way; returns its next slot. `vip`: of its destination, and port if that is known; 0 if there is none. */
export function special(node: usize, ip: usize, meta: usize, vip: u32, perPort: bool): u32 {
  const lb: usize = load<u32>(node, NODE_DATA);
  store<u32>(meta, 0, META_OPAQUE);
  store<u32>(meta, 0, META_AS);
  if (load<u16>(meta, META_FLAGS) & FLAG_LATER_FRAGMENT) return LB_NEXT_FRAGMENTS;
  if (isTinyFirst(meta)) {
    reason(node, meta, LB_COUNT_TINY);
    return LB_NEXT_DROP;
  }
  if (isIcmp(ip, meta)) {
    const quotation = quotationOf(ip, meta);
    const sender = quotation == 0 ? 0 : vipOfError(lb, ip, meta, vip, perPort, quotation);
    if (sender != 0) return toFlow(node, lb, ip, meta, sender, true);
    if (perPort) return icmpToPrefix(node, lb, ip, meta, quotation != 0);
  }
  if (vip == 0) return toKernel(node, lb, ip, meta, LB_COUNT_NO_VIP);
  const record = vipRecord(lb, vip);
  store<u32>(meta, stickyHashOf(lb, ip, meta, record), META_HASH);
  store<u32>(meta, flowHashOf(lb, ip, meta, record), META_OPAQUE);
  return toFlow(node, lb, ip, meta, vip, false);
}

/** Sends the packet to the server of its flow, META_HASH and META_OPAQUE, if it may be sent on. An ICMP error makes no flow known. */
function toFlow(node: usize, lb: usize, ip: usize, meta: usize, vip: u32, icmpError: bool): u32 {
  const record = vipRecord(lb, vip);
  if (ttlOf(ip) < <u32>load<u8>(record, VIP_MIN_TTL)) {
    askIcmpError(meta, isSix(ip) ? ICMP6_TIME_EXCEEDED : ICMP4_TIME_EXCEEDED, 0, 0);
    reason(node, meta, LB_COUNT_TTL_EXPIRED);
    return LB_NEXT_ICMP_ERROR;
  }
  const choice = load<u32>(meta, META_OPAQUE);
  if (!takeKnown(node, lb, meta, vip, !icmpError) && !takeServer(node, lb, meta, vip, choice, !icmpError)) return LB_NEXT_DROP;
  const index: usize = load<u32>(meta, META_AS);
  // An encap that keeps flows says where the others go, or drops.
  if (index != 0 && (load<u16>(meta, META_FLAGS) & FLAG_FIRST_FRAGMENT) != 0) rememberChoice(lb, ip, meta, nowOf(node));
  const server = <usize>load<u32>(lb, LB_SERVERS) + (index << AS_SHIFT);
  const most: u32 = index == 0 ? load<u16>(record, VIP_MAX_LENGTH) : load<u16>(server, AS_MAX_LENGTH);
  if (<u32>load<u16>(meta, META_LENGTH) > most) return tooBig(node, lb, ip, meta, most);
  if (icmpError) count(node, LB_COUNT_ICMP_ERRORS, 1);
  return encapSlot(node, record);
}

/** RFC 1191, RFC 8201: who sent it is told, or it is fragmented if that is allowed. */
export function tooBig(node: usize, lb: usize, ip: usize, meta: usize, most: u32): u32 {
  reason(node, meta, LB_COUNT_TOO_BIG);
  if (isSix(ip)) {
    askIcmpError(meta, ICMP6_PACKET_TOO_BIG, 0, most);
    return LB_NEXT_ICMP_ERROR;
  }
  if (<u32>bswap<u16>(load<u16>(ip, IP4_FRAGMENT)) & IP4_DF) {
    askIcmpError(meta, ICMP4_UNREACHABLE, ICMP4_FRAGMENTATION_NEEDED, most);
    return LB_NEXT_ICMP_ERROR;
  }
  if (load<u32>(lb, LB_FLAGS) & LB_FRAGMENT) {
    count(node, LB_COUNT_FRAGMENTED, 1);
    store<u32>(meta, most, META_OPAQUE);
    return LB_NEXT_FRAG;
  }
  reason(node, meta, LB_COUNT_NOT_FRAGMENTED);
  return LB_NEXT_DROP;
}

/** The VIP that has sent the packet that an ICMP error is about, and to META_HASH and META_OPAQUE the hashes of its flow; 0 if none is known to have. */
function vipOfError(lb: usize, ip: usize, meta: usize, vip: u32, perPort: bool, quotation: u64): u32 {
  if (!isToQuotedSource(ip, quotation)) return 0;
  const ports = clientPorts(ip, quotation);
  const protocol = quotedProtocol(quotation);
  if (perPort) {
    if (!quotedHasPorts(quotation)) return 0;
    vip = vipOfPort(lb, load<u32>(meta, META_DPO) & 0xffffff, protocol, ports >>> 16);
    if (vip == 0) return 0;
  }
  const record = vipRecord(lb, vip);
  // Without the ports, as of a later fragment, nobody knows the flow.
  if (protocol == 255 && !isBySource(record)) return 0;
  if (isSix(ip)) {
    const addresses = ip + quotedIp(quotation) + IP6_SOURCE;
    clientAddresses6(ip, quotation, addresses);
    store<u32>(meta, stickyHashOf6(lb, addresses, ports, record), META_HASH);
    store<u32>(meta, flowHashOf6(lb, addresses, ports, record), META_OPAQUE);
    clientAddresses6(ip, quotation, addresses);
  } else {
    const addresses = clientAddresses4(ip, quotation);
    store<u32>(meta, stickyHashOf4(lb, addresses, ports, record), META_HASH);
    store<u32>(meta, flowHashOf4(lb, addresses, ports, record), META_OPAQUE);
  }
  return vip;
}

/** ICMP that is about no flow, to a prefix with per-port VIPs. */
function icmpToPrefix(node: usize, lb: usize, ip: usize, meta: usize, error: bool): u32 {
  if (error) return toKernel(node, lb, ip, meta, LB_COUNT_ICMP_UNKNOWN);
  const l4: u32 = load<u16>(meta, META_L4);
  const whole = !isFragment(meta) && l4 + ICMP_BYTES <= <u32>load<u16>(meta, META_LENGTH);
  const echo: u32 = isSix(ip) ? ICMP6_ECHO : ICMP4_ECHO;
  if (whole && <u32>load<u8>(ip + <usize>l4) == echo) return LB_NEXT_ECHO;
  return toKernel(node, lb, ip, meta, LB_COUNT_NO_VIP);
}

/** Leaves the packet to the kernel, and with a first fragment the others of its datagram. */
function toKernel(node: usize, lb: usize, ip: usize, meta: usize, why: u32): u32 {
  if (load<u16>(meta, META_FLAGS) & FLAG_FIRST_FRAGMENT) rememberChoice(lb, ip, meta, nowOf(node));
  reason(node, meta, why);
  return LB_NEXT_PUNT;
}
