/** The packets on an interface of servers that are no usual replies: without a hint, fragments, ICMP errors, not ours. */
import { fib4Lookup } from '@lbd/fib/assembly/fib4.ts';
import { fib6Lookup } from '@lbd/fib/assembly/fib6.ts';
import { DPO_FIRST_FREE, DPO_RECEIVE, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { count as add, reason } from '@lbd/graph/assembly/abi.ts';
import {
  FLAG_FIRST_FRAGMENT,
  META_FLAGS,
  META_L4,
  META_PROTOCOL,
  NODE_DATA,
  PROTOCOL_NONE,
} from '@lbd/graph/src/layout.ts';
import { findFragments, rememberFragments } from '@lbd/lb/assembly/fragments.ts';
import {
  clientPorts,
  isToQuotedSource,
  quotationOf,
  quotedHasPorts,
  quotedIp,
  quotedProtocol,
} from '@lbd/lb/assembly/icmp.ts';
import { LB_FLAGS, LB_NODE_PORTS, LB_VIPS, VIP_ADDRESS, VIP_ADDRESS4, VIP_PORT, VIP_SHIFT } from '@lbd/lb/src/layout.ts';
import { not16, patch } from '@lbd/packet/assembly/checksum.ts';
import {
  PROTOCOL_ICMP4,
  PROTOCOL_ICMP6,
  PROTOCOL_TCP,
  TCP_CHECKSUM,
  UDP_CHECKSUM,
} from '@lbd/packet/src/layout.ts';
import {
  DATA_LB,
  FRAGMENTS_STATIC,
  IN2OUT_ERRORS,
  IN2OUT_EXPIRING,
  IN2OUT_NEXT_PUNT,
  IN2OUT_NO_FRAGMENTS,
  IN2OUT_NO_SESSION,
  IN2OUT_STATIC,
  IN2OUT_TRANSLATED,
  KEY_REVERSE,
  NAT_FIB,
  NAT_REPLY_HINTS,
  NAT_REPLY_HINT_MASK,
  NAT_TABLE,
  SESSION_VIP_PORT,
} from '../src/layout.ts';
import { sameAddress } from './forward-others.ts';
import { putHint } from './hints.ts';
import { NONE, hashKey, keyTail, searchKey, searchServer } from './keys.ts';
import { destinationAt, readdress, readdressError, requote, sourceAt } from './quote.ts';
import { clientOf, isLive, serverOf, sessionAt, vipOf } from './session.ts';
import { expires, hasHeader, translateReply } from './translate.ts';

/**
 * Does one packet; returns its next slot. What is of no session goes on if it is to a VIP (a server may be a client, too), or to this
 * host where there are node ports (lb-nodeport knows which are), and is left to the kernel else. What would expire here goes on as it is: the answer to it has to quote it so.
 * @param hash replyHash() of it
 * @param next slot of the next feature
 */
export function another(
  six: bool,
  node: usize,
  nat: usize,
  servers: usize,
  meta: usize,
  ip: usize,
  hash: u32,
  next: u32,
  now: u32,
): u32 {
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  const fib: usize = load<u32>(nat, NAT_FIB);
  const to = ip + destinationAt(six);
  let way: u32;
  if (protocol == PROTOCOL_NONE) way = laterFragment(six, nat, lb, servers, meta, ip, now);
  else if (protocol == (six ? PROTOCOL_ICMP6 : PROTOCOL_ICMP4)) way = error(six, nat, servers, meta, ip);
  else way = reply(six, nat, lb, meta, ip, protocol, hash, now);
  if (way >= <u32>IN2OUT_NO_SESSION) {
    const type: u32 = (six ? fib6Lookup(fib, to) : fib4Lookup(fib, to)) >>> DPO_SHIFT;
    if (type >= <u32>DPO_FIRST_FREE) return next;
    if (type == <u32>DPO_RECEIVE && (load<u32>(lb, LB_FLAGS) & LB_NODE_PORTS) != 0) return next;
    if (way == IN2OUT_NO_SESSION && type != <u32>DPO_RECEIVE) way = byServer(six, nat, lb, meta, ip, protocol, now);
  }
  if (way >= <u32>IN2OUT_NO_SESSION) {
    reason(node, meta, way);
    return IN2OUT_NEXT_PUNT;
  }
  add(node, way, 1);
  return next;
}

/** By the session of its tuple. Returns what to count. */
function reply(six: bool, nat: usize, lb: usize, meta: usize, ip: usize, protocol: u32, hash: u32, now: u32): u32 {
  if (!hasHeader(meta, protocol)) return IN2OUT_NO_SESSION;
  const l4 = ip + <usize>load<u16>(meta, META_L4);
  const tail = keyTail(load<u32>(l4), protocol, KEY_REVERSE);
  const table: usize = load<u32>(nat, NAT_TABLE);
  const server = ip + sourceAt(six);
  const client = ip + destinationAt(six);
  const value = searchKey(six, table, hashKey(six, server, client, tail), server, client, tail);
  if (value == NONE) return IN2OUT_NO_SESSION;
  putHint(load<u32>(nat, NAT_REPLY_HINTS), load<u32>(nat, NAT_REPLY_HINT_MASK), hash, <u32>value);
  if (expires(six, ip)) return IN2OUT_EXPIRING;
  if (load<u16>(meta, META_FLAGS) & FLAG_FIRST_FRAGMENT) rememberFragments(lb, ip, meta, now, value);
  translateReply(six, nat, sessionAt(nat, <usize>value), ip, l4, protocol, now);
  return IN2OUT_TRANSLATED;
}

/** Without a session, from the port of a server that is exactly one VIP's: gets that VIP's address and port. */
function byServer(six: bool, nat: usize, lb: usize, meta: usize, ip: usize, protocol: u32, now: u32): u32 {
  if (!hasHeader(meta, protocol)) return IN2OUT_NO_SESSION;
  const l4 = ip + <usize>load<u16>(meta, META_L4);
  const value = searchServer(six, load<u32>(nat, NAT_TABLE), ip + sourceAt(six), load<u16>(l4), protocol);
  if (value == NONE) return IN2OUT_NO_SESSION;
  if (expires(six, ip)) return IN2OUT_EXPIRING;
  if (load<u16>(meta, META_FLAGS) & FLAG_FIRST_FRAGMENT) rememberFragments(lb, ip, meta, now, value | FRAGMENTS_STATIC);
  const vip = vipRecord(lb, <u32>value);
  const port: u32 = load<u16>(vip, VIP_PORT);
  const ports = not16(load<u16>(l4)) + <u64>port;
  const change = ports + readdress(six, ip, sourceAt(six), vip + addressAt(six));
  store<u16>(l4, <u16>port);
  const tcp = protocol == PROTOCOL_TCP;
  const field = l4 + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
  if (tcp || load<u16>(field) != 0) {
    const patched = patch(load<u16>(field), change, 0);
    store<u16>(field, <u16>(patched == 0 && !tcp ? 0xffff : patched));
  }
  return IN2OUT_STATIC;
}
// @ts-ignore: decorator
@inline function vipRecord(lb: usize, vip: u32): usize {
  return <usize>load<u32>(lb, LB_VIPS) + (<usize>vip << VIP_SHIFT);
}
// @ts-ignore: decorator
@inline function addressAt(six: bool): usize {
  return six ? VIP_ADDRESS : VIP_ADDRESS4;
}

/** As the first fragment of its datagram, which had the ports: only the address changes. */
function laterFragment(six: bool, nat: usize, lb: usize, servers: usize, meta: usize, ip: usize, now: u32): u32 {
  const value = <u32>findFragments(lb, ip, meta, now);
  if (value == 0) return IN2OUT_NO_FRAGMENTS;
  if (expires(six, ip)) return IN2OUT_EXPIRING;
  if (value & FRAGMENTS_STATIC) {
    readdress(six, ip, sourceAt(six), vipRecord(lb, value & ~FRAGMENTS_STATIC) + addressAt(six));
    return IN2OUT_STATIC;
  }
  // The session may have ended since, and its record be another's.
  const session = sessionAt(nat, value);
  if (!isLive(session)) return IN2OUT_NO_FRAGMENTS;
  if (!sameAddress(six, serverOf(six, servers, session), ip + sourceAt(six))) return IN2OUT_NO_FRAGMENTS;
  if (!sameAddress(six, clientOf(six, session), ip + destinationAt(six))) return IN2OUT_NO_FRAGMENTS;
  readdress(six, ip, sourceAt(six), vipOf(six, session));
  return IN2OUT_TRANSLATED;
}

/**
 * An ICMP error about a client's packet to a server (RFC 5508, section 4.2): what it quotes is again what the client sent. If
 * the server itself sends it, it comes from the VIP; a router's address stays. The session lives no longer for it (REQ-6).
 */
function error(six: bool, nat: usize, servers: usize, meta: usize, ip: usize): u32 {
  const quotation = quotationOf(ip, meta);
  if (!quotedHasPorts(quotation) || !isToQuotedSource(ip, quotation)) return IN2OUT_NO_SESSION;
  const quoted = ip + quotedIp(quotation);
  const server = quoted + destinationAt(six);
  const client = quoted + sourceAt(six);
  const tail = keyTail(clientPorts(ip, quotation), quotedProtocol(quotation), KEY_REVERSE);
  const value = searchKey(six, load<u32>(nat, NAT_TABLE), hashKey(six, server, client, tail), server, client, tail);
  if (value == NONE) return IN2OUT_NO_SESSION;
  if (expires(six, ip)) return IN2OUT_EXPIRING;
  const session = sessionAt(nat, <usize>value);
  const vip = vipOf(six, session);
  const fromServer = sameAddress(six, ip + sourceAt(six), serverOf(six, servers, session));
  requote(six, ip, meta, quotation, false, vip, load<u16>(session, SESSION_VIP_PORT));
  if (fromServer) readdressError(six, ip, meta, sourceAt(six), vip);
  return IN2OUT_ERRORS;
}
