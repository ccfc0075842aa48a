/**
 * Translating a usual packet of a session, either way, inlined: for the loops over usual packets. `six` is a constant: the
 * compiler drops what the other family needs. `servers` is LB_SERVERS, `as` the record of the session's server.
 */
import { META_L4, META_LENGTH } from '@lbd/graph/src/layout.ts';
import { AS_ADDRESS, AS_SHIFT } from '@lbd/lb/src/layout.ts';
import {
  IP4_CHECKSUM,
  IP4_DESTINATION,
  IP4_SOURCE,
  IP4_TTL,
  IP6_DESTINATION,
  IP6_HOP_LIMIT,
  IP6_SOURCE,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_BYTES,
  TCP_CHECKSUM,
  TCP_DESTINATION_PORT,
  TCP_FLAGS,
  UDP_BYTES,
  UDP_CHECKSUM,
} from '@lbd/packet/src/layout.ts';
import {
  NAT_TIMEOUTS,
  SEEN_FIN_CLIENT,
  SEEN_FIN_SERVER,
  SEEN_REPLY,
  SESSION4_CLIENT,
  SESSION4_SERVER,
  SESSION4_VIP,
  SESSION6_CLIENT,
  SESSION6_VIP,
  SESSION_AS,
  SESSION_CLIENT_PORT,
  SESSION_EXPIRY,
  SESSION_IP_DELTA,
  SESSION_L4_DELTA,
  SESSION_LIVE,
  SESSION_PROTOCOL,
  SESSION_SEEN,
  SESSION_SERVER_PORT,
  SESSION_SHIFT,
  SESSION_STATE,
  SESSION_TOUCHED,
  SESSION_VIP_PORT,
} from '../src/layout.ts';

/** Brings a session's line near. A store in place of a load: it does not hold up what follows, and there will be others. */
// @ts-ignore: decorator
@inline export function touchSession(sessions: usize, index: u32): void {
  store<u32>(sessions + (<usize>index << SESSION_SHIFT), 0, SESSION_TOUCHED);
}
/** Address of the record of a session's server. */
// @ts-ignore: decorator
@inline export function asOf(servers: usize, session: usize): usize {
  return servers + (<usize>load<u32>(session, SESSION_AS) << AS_SHIFT);
}

/** True if the session is that of a client's packet: live, and of the same tuple. */
// @ts-ignore: decorator
@inline export function isOf(six: bool, session: usize, ip: usize, l4: usize, protocol: u32): bool {
  // The state first: the tuple of a record that another worker takes over is written before it is live again.
  if (atomic.load<u32>(session, SESSION_STATE) != SESSION_LIVE) return false;
  if (six) {
    if (!same16(session + SESSION6_CLIENT, ip + IP6_SOURCE)) return false;
    if (!same16(session + SESSION6_VIP, ip + IP6_DESTINATION)) return false;
  } else if (load<u64>(session, SESSION4_CLIENT) != load<u64>(ip, IP4_SOURCE)) return false;
  if (load<u32>(session, SESSION_CLIENT_PORT) != load<u32>(l4)) return false;
  return <u32>load<u8>(session, SESSION_PROTOCOL) == protocol;
}
/** True if the session is that of a server's packet. */
// @ts-ignore: decorator
@inline export function isReplyOf(six: bool, servers: usize, session: usize, ip: usize, l4: usize, protocol: u32): bool {
  if (atomic.load<u32>(session, SESSION_STATE) != SESSION_LIVE) return false;
  if (six) {
    if (!same16(asOf(servers, session) + AS_ADDRESS, ip + IP6_SOURCE)) return false;
    if (!same16(session + SESSION6_CLIENT, ip + IP6_DESTINATION)) return false;
  } else if (load<u64>(session, SESSION4_SERVER) != load<u64>(ip, IP4_SOURCE)) return false;
  if (load<u32>(session, SESSION_SERVER_PORT) != load<u32>(l4)) return false;
  return <u32>load<u8>(session, SESSION_PROTOCOL) == protocol;
}
// @ts-ignore: decorator
@inline export function same16(a: usize, b: usize): bool {
  return !v128.any_true(v128.xor(v128.load(a), v128.load(b)));
}

/** Gives a client's packet its server's address and port, and the session another while. */
// @ts-ignore: decorator
@inline export function translate(
  six: bool,
  nat: usize,
  session: usize,
  as: usize,
  ip: usize,
  l4: usize,
  protocol: u32,
  now: u32,
): void {
  let seen: u32 = load<u8>(session, SESSION_SEEN);
  const l4Delta: u32 = load<u16>(session, SESSION_L4_DELTA);
  if (protocol == PROTOCOL_TCP) seen = patchTcp(session, l4, l4Delta, seen, SEEN_FIN_CLIENT, 0);
  else patchUdp(l4, l4Delta);
  if (six) v128.store(ip, v128.load(as, AS_ADDRESS), IP6_DESTINATION);
  else {
    store<u16>(ip, <u16>moved(load<u16>(ip, IP4_CHECKSUM), load<u16>(session, SESSION_IP_DELTA)), IP4_CHECKSUM);
    store<u32>(ip, load<u32>(session, SESSION4_SERVER), IP4_DESTINATION);
  }
  store<u16>(l4, load<u16>(session, SESSION_SERVER_PORT), TCP_DESTINATION_PORT);
  renew(nat, session, seen, now);
}

/** Gives a server's packet the address and port that its client used, and the session another while. */
// @ts-ignore: decorator
@inline export function translateReply(
  six: bool,
  nat: usize,
  session: usize,
  ip: usize,
  l4: usize,
  protocol: u32,
  now: u32,
): void {
  // What the client's side adds is what the server's does not: the complement.
  const l4Delta: u32 = <u32>load<u16>(session, SESSION_L4_DELTA) ^ 0xffff;
  const before: u32 = load<u8>(session, SESSION_SEEN);
  let seen = before | SEEN_REPLY;
  if (protocol == PROTOCOL_TCP) seen = patchTcp(session, l4, l4Delta, before, SEEN_FIN_SERVER, SEEN_REPLY);
  else {
    patchUdp(l4, l4Delta);
    if (seen != before) atomic.or<u8>(session, SEEN_REPLY, SESSION_SEEN);
  }
  if (six) v128.store(ip, v128.load(session, SESSION6_VIP), IP6_SOURCE);
  else {
    const ipDelta: u32 = <u32>load<u16>(session, SESSION_IP_DELTA) ^ 0xffff;
    store<u16>(ip, <u16>moved(load<u16>(ip, IP4_CHECKSUM), ipDelta), IP4_CHECKSUM);
    store<u32>(ip, load<u32>(session, SESSION4_VIP), IP4_SOURCE);
  }
  store<u16>(l4, load<u16>(session, SESSION_VIP_PORT));
  renew(nat, session, seen, now);
}

/** Updates the checksum; returns what has been seen of the flow now, and notes it in the session. */
// @ts-ignore: decorator
@inline function patchTcp(session: usize, l4: usize, delta: u32, seen: u32, fin: u32, also: u32): u32 {
  store<u16>(l4, <u16>moved(load<u16>(l4, TCP_CHECKSUM), delta), TCP_CHECKSUM);
  const more = seen | also | seenOfTcp(load<u8>(l4, TCP_FLAGS), fin);
  // Another worker may be adding what it saw of the other side's packets.
  if (more != seen) atomic.or<u8>(session, <u8>more, SESSION_SEEN);
  return more;
}
// @ts-ignore: decorator
@inline function patchUdp(l4: usize, delta: u32): void {
  const checksum: u32 = load<u16>(l4, UDP_CHECKSUM);
  // 0 is no checksum and stays so; one that computes to 0 is sent as 0xffff (RFC 768). Over IPv6 there is always one: a
  // packet that came without is not ours to repair (RFC 8200, section 8.1).
  if (checksum != 0) {
    // As moved() has it, but that a sum of 0xffff stays: C + ~D in place of ~(~C + D).
    const sum = checksum + (delta ^ 0xffff);
    store<u16>(l4, <u16>(sum + (sum >>> 16)), UDP_CHECKSUM);
  }
}
/** RFC 1624, equation 3, with what goes and comes folded to 16 bits beforehand. */
// @ts-ignore: decorator
@inline export function moved(checksum: u32, delta: u32): u32 {
  const sum = (checksum ^ 0xffff) + delta;
  return ~(sum + (sum >>> 16)) & 0xffff;
}
/** SEEN_ bits that a TCP packet adds. */
// @ts-ignore: decorator
@inline function seenOfTcp(flags: u32, fin: u32): u32 {
  // FIN is bit 0 and RST bit 2 of the flags (RFC 9293, section 3.1); SEEN_RST is bit 3.
  return ((flags & 1) * fin) | ((flags & 4) << 1);
}
/** Renews a session's expiry after SESSION_SEEN may have changed. Stores only what changes, to keep shared lines clean. */
// @ts-ignore: decorator
@inline export function renew(nat: usize, session: usize, seen: u32, now: u32): void {
  const expiry = now + load<u32>(nat + (<usize>seen << 2), NAT_TIMEOUTS);
  if (load<u32>(session, SESSION_EXPIRY) != expiry) store<u32>(session, expiry, SESSION_EXPIRY);
}

/** True if the packet has a whole TCP header (without options) or UDP header. */
// @ts-ignore: decorator
@inline export function hasHeader(meta: usize, protocol: u32): bool {
  const bytes: u32 = protocol == PROTOCOL_TCP ? TCP_BYTES : protocol == PROTOCOL_UDP ? UDP_BYTES : 0x10000;
  return <u32>load<u16>(meta, META_LENGTH) >= <u32>load<u16>(meta, META_L4) + bytes;
}
/** True if the packet's TTL or hop limit lets nobody send it on. */
// @ts-ignore: decorator
@inline export function expires(six: bool, ip: usize): bool {
  return (six ? load<u8>(ip, IP6_HOP_LIMIT) : load<u8>(ip, IP4_TTL)) <= 1;
}
