/** Sessions: finding, making and ending them. Any worker may, at any time; see ../src/layout.ts. */
import { del16, hash16, insert16, search16 } from '@lbd/bihash/assembly/bihash16.ts';
import { fold, not16, not32 } from '@lbd/packet/assembly/checksum.ts';
import { AS_ADDRESS4, AS_PORT, AS_SHIFT, LB_SERVERS } from '@lbd/lb/src/layout.ts';
import {
  KEY_FORWARD,
  KEY_REVERSE,
  NAT_CAPACITY,
  NAT_FREE,
  NAT_LIVE,
  NAT_NEXT,
  NAT_SESSIONS,
  NAT_TABLE,
  NAT_TIMEOUTS,
  SEEN_FIN_CLIENT,
  SEEN_FIN_SERVER,
  SEEN_RST,
  SEEN_UDP,
  SESSION_ADDRESSES,
  SESSION_AS,
  SESSION_DEAD,
  SESSION_EXPIRY,
  SESSION_FREE,
  SESSION_IP_DELTA,
  SESSION_L4_DELTA,
  SESSION_LIVE,
  SESSION_NEXT,
  SESSION_PORTS,
  SESSION_PROTOCOL,
  SESSION_SEEN,
  SESSION_SERVER,
  SESSION_SERVER_PORT,
  SESSION_SHIFT,
  SESSION_STATE,
} from '../src/layout.ts';

/** What make() returns if the table is full, or if every server it tried has the client's port in use. */
// @ts-ignore: decorator
@inline export const NO_ROOM: i32 = -1;
// @ts-ignore: decorator
@inline export const CONFLICT: i32 = -2;

/** Second word of a key. */
// @ts-ignore: decorator
@inline export function keyTail(ports: u32, protocol: u32, kind: u64): u64 {
  return <u64>ports | (<u64>protocol << 32) | (kind << 40);
}
// @ts-ignore: decorator
@inline export function sessionAt(nat: usize, index: usize): usize {
  return <usize>load<u32>(nat, NAT_SESSIONS) + (index << SESSION_SHIFT);
}
/** Renews a session's expiry after SESSION_SEEN may have changed. Stores only what changes, to keep shared lines clean. */
// @ts-ignore: decorator
@inline export function renew(nat: usize, session: usize, seen: u32, now: u32): void {
  const expiry = now + load<u32>(nat + (<usize>seen << 2), NAT_TIMEOUTS);
  if (load<u32>(session, SESSION_EXPIRY) != expiry) store<u32>(session, expiry, SESSION_EXPIRY);
}
/** A flow whose end was seen: both FINs, or RST. */
// @ts-ignore: decorator
@inline export function isClosed(seen: u32): bool {
  const fins = SEEN_FIN_CLIENT | SEEN_FIN_SERVER;
  return (seen & SEEN_RST) != 0 || (seen & fins) == fins;
}

/** The tuple of the server's packets, as addresses and as ports. */
// @ts-ignore: decorator
@inline function reverseAddresses(session: usize): u64 {
  return <u64>load<u32>(session, SESSION_SERVER) | ((load<u64>(session, SESSION_ADDRESSES) & 0xffffffff) << 32);
}
// @ts-ignore: decorator
@inline function reverseTail(session: usize): u64 {
  const ports = <u32>load<u16>(session, SESSION_SERVER_PORT) | (load<u32>(session, SESSION_PORTS) << 16);
  return keyTail(ports, load<u8>(session, SESSION_PROTOCOL), KEY_REVERSE);
}
// @ts-ignore: decorator
@inline function forwardTail(session: usize): u64 {
  return keyTail(load<u32>(session, SESSION_PORTS), load<u8>(session, SESSION_PROTOCOL), KEY_FORWARD);
}

/** Takes a session that nobody has; 0 if there is none. */
function take(nat: usize): u32 {
  for (;;) {
    const head = atomic.load<u64>(nat, NAT_FREE);
    const index = <u32>head;
    if (index == 0) break;
    // The record may be taken by another thread meanwhile: then the head has changed, and this value is not used.
    const next = atomic.load<u32>(sessionAt(nat, index), SESSION_NEXT);
    const moved = (((head >> 32) + 1) << 32) | <u64>next;
    if (atomic.cmpxchg<u64>(nat, head, moved, NAT_FREE) == head) return index;
  }
  const capacity = load<u32>(nat, NAT_CAPACITY);
  if (atomic.load<u32>(nat, NAT_NEXT) >= capacity) return 0;
  const index = atomic.add<u32>(nat, 1, NAT_NEXT);
  if (index < capacity) return index;
  atomic.sub<u32>(nat, 1, NAT_NEXT);
  return 0;
}

/** Gives a session back that no thread uses any more. */
export function nat_free(nat: usize, index: u32): void {
  const session = sessionAt(nat, index);
  atomic.store<u32>(session, SESSION_FREE, SESSION_STATE);
  for (;;) {
    const head = atomic.load<u64>(nat, NAT_FREE);
    atomic.store<u32>(session, <u32>head, SESSION_NEXT);
    const moved = (((head >> 32) + 1) << 32) | <u64>index;
    if (atomic.cmpxchg<u64>(nat, head, moved, NAT_FREE) == head) return;
  }
}

/** Takes a session out of the bihash. It may be freed after a quiescent point. False if another thread was first. */
export function nat_end(nat: usize, index: u32): bool {
  const session = sessionAt(nat, index);
  if (atomic.cmpxchg<u32>(session, SESSION_LIVE, SESSION_DEAD, SESSION_STATE) != SESSION_LIVE) return false;
  const table: usize = load<u32>(nat, NAT_TABLE);
  const f0 = load<u64>(session, SESSION_ADDRESSES);
  const f1 = forwardTail(session);
  del16(table, hash16(f0, f1), f0, f1);
  const r0 = reverseAddresses(session);
  const r1 = reverseTail(session);
  del16(table, hash16(r0, r1), r0, r1);
  atomic.sub<u32>(nat, 1, NAT_LIVE);
  return true;
}

/**
 * Makes the session of a flow's first packet. If the server already has a live flow with the client's address and port
 * (through another VIP), replies could not be told apart; then the next servers of the new-flow table are tried.
 * @param newFlow address of the VIP's new-flow table, or 0 to try no other server
 * @returns index of the session; NO_ROOM or CONFLICT
 */
export function make(
  nat: usize,
  lb: usize,
  addresses: u64,
  ports: u32,
  protocol: u32,
  seen: u32,
  server: u32,
  newFlow: usize,
  mask: u32,
  slot: u32,
  now: u32,
): i32 {
  const index = take(nat);
  if (index == 0) return NO_ROOM;
  const table: usize = load<u32>(nat, NAT_TABLE);
  const session = sessionAt(nat, index);
  store<u64>(session, addresses, SESSION_ADDRESSES);
  store<u32>(session, ports, SESSION_PORTS);
  store<u8>(session, <u8>protocol, SESSION_PROTOCOL);
  store<u8>(session, <u8>seen, SESSION_SEEN);
  store<u32>(session, now + load<u32>(nat + (<usize>seen << 2), NAT_TIMEOUTS), SESSION_EXPIRY);
  let result = CONFLICT;
  for (let attempt: u32 = 0; attempt < 32; attempt++) {
    if (server != 0) {
      assign(lb, session, server);
      result = claimReverse(nat, table, session, index, now);
      if (result != CONFLICT) break;
    }
    if (newFlow == 0) break;
    server = load<u32>(newFlow + (<usize>((slot + 1 + attempt) & mask) << 2));
  }
  if (result < 0) {
    nat_free(nat, index);
    return result;
  }
  const f1 = forwardTail(session);
  const hash = hash16(addresses, f1);
  const added = insert16(table, hash, addresses, f1, index);
  if (added == 0) {
    // Live only now that both keys are there: who ends a live session takes both away.
    atomic.store<u32>(session, SESSION_LIVE, SESSION_STATE);
    atomic.add<u32>(nat, 1, NAT_LIVE);
    return index;
  }
  // Another worker made the flow's session meanwhile, or there is no room.
  abandon(table, session);
  if (added < 0) return NO_ROOM;
  const found = search16(table, hash, addresses, f1);
  return found == <u64>-1 ? NO_ROOM : <i32>found;
}

// @ts-ignore: decorator
@inline function assign(lb: usize, session: usize, server: u32): void {
  const as: usize = <usize>load<u32>(lb, LB_SERVERS) + (<usize>server << AS_SHIFT);
  store<u32>(session, server, SESSION_AS);
  store<u32>(session, load<u32>(as, AS_ADDRESS4), SESSION_SERVER);
  store<u16>(session, load<u16>(as, AS_PORT), SESSION_SERVER_PORT);
  const address = not32(load<u32>(session, SESSION_ADDRESSES + 4)) + <u64>load<u32>(as, AS_ADDRESS4);
  const port = not16(load<u16>(session, SESSION_PORTS + 2)) + <u64>load<u16>(as, AS_PORT);
  store<u16>(session, <u16>fold(address), SESSION_IP_DELTA);
  store<u16>(session, <u16>fold(address + port), SESSION_L4_DELTA);
}

/** Enters the reverse key; ends a session that has it but is over. Returns the index, NO_ROOM or CONFLICT. */
function claimReverse(nat: usize, table: usize, session: usize, index: u32, now: u32): i32 {
  const r0 = reverseAddresses(session);
  const r1 = reverseTail(session);
  const hash = hash16(r0, r1);
  for (let attempt = 0; attempt < 2; attempt++) {
    const added = insert16(table, hash, r0, r1, index);
    if (added == 0) return index;
    if (added < 0) return NO_ROOM;
    const other = search16(table, hash, r0, r1);
    if (other == <u64>-1) continue;
    const rival = sessionAt(nat, <usize>other);
    const over = <i32>(load<u32>(rival, SESSION_EXPIRY) - now) <= 0 || isClosed(load<u8>(rival, SESSION_SEEN));
    if (!over) return CONFLICT;
    nat_end(nat, <u32>other);
  }
  return CONFLICT;
}

/** Gives up a session that was never live: its reverse key is there, its forward key is another's. */
function abandon(table: usize, session: usize): void {
  const r0 = reverseAddresses(session);
  const r1 = reverseTail(session);
  del16(table, hash16(r0, r1), r0, r1);
  atomic.store<u32>(session, SESSION_DEAD, SESSION_STATE);
}

/** SEEN_ bits that a TCP packet adds. */
// @ts-ignore: decorator
@inline export function seenOfTcp(flags: u32, fin: u32): u32 {
  // FIN is bit 0 and RST bit 2 of the flags (RFC 9293, section 3.1); SEEN_RST is bit 3.
  return ((flags & 1) * fin) | ((flags & 4) << 1);
}

/** SEEN_ bits of a flow before its first packet was looked at. */
// @ts-ignore: decorator
@inline export function seenAtFirst(protocol: u32): u32 {
  return protocol == 17 ? SEEN_UDP : 0;
}

/**
 * Ends sessions that are over, of [from, to), and lists all that are dead, for nat_free after a quiescent point.
 * @param list address of room for `room` u32
 * @returns how many were listed
 */
export function nat_sweep(nat: usize, from: u32, to: u32, now: u32, list: usize, room: u32): u32 {
  let n: u32 = 0;
  for (let index = from; index < to && n < room; index++) {
    const session = sessionAt(nat, index);
    const state = atomic.load<u32>(session, SESSION_STATE);
    if (state == SESSION_LIVE && <i32>(load<u32>(session, SESSION_EXPIRY) - now) <= 0) nat_end(nat, index);
    if (atomic.load<u32>(session, SESSION_STATE) == SESSION_DEAD) {
      store<u32>(list + (<usize>n << 2), index);
      n++;
    }
  }
  return n;
}
