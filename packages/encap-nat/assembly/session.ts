/**
 * Sessions: making and ending them. Any worker may, at any time; see ../src/layout.ts. Nothing here is done for each packet,
 * so the family (`six`) is looked at as the program runs.
 */
import { AS_ADDRESS, AS_ADDRESS4, AS_PORT, AS_SHIFT } from '@lbd/lb/src/layout.ts';
import { fold, not16, not32 } from '@lbd/packet/assembly/checksum.ts';
import { PROTOCOL_UDP } from '@lbd/packet/src/layout.ts';
import {
  KEY_FORWARD,
  KEY_REVERSE,
  NAT_CAPACITY,
  NAT_FREE,
  NAT_LIVE,
  NAT_NEXT,
  NAT_REPLY_HINTS,
  NAT_REPLY_HINT_MASK,
  NAT_SERVERS,
  NAT_SESSIONS,
  NAT_SIX,
  NAT_TABLE,
  NAT_TIMEOUTS,
  SEEN_FIN_CLIENT,
  SEEN_FIN_SERVER,
  SEEN_RST,
  SEEN_UDP,
  SESSION4_CLIENT,
  SESSION4_SERVER,
  SESSION4_VIP,
  SESSION6_CLIENT,
  SESSION6_VIP,
  SESSION_AS,
  SESSION_CLIENT_PORT,
  SESSION_DEAD,
  SESSION_EXPIRY,
  SESSION_FREE,
  SESSION_IP_DELTA,
  SESSION_L4_DELTA,
  SESSION_LIVE,
  SESSION_NEXT,
  SESSION_PROTOCOL,
  SESSION_SEEN,
  SESSION_SERVER_PORT,
  SESSION_SHIFT,
  SESSION_STATE,
  SESSION_VIP_PORT,
} from '../src/layout.ts';
import { putHint } from './hints.ts';
import { NONE, deleteKey, hashKey, insertKey, keyTail, searchKey } from './keys.ts';
import { replyHash } from './reply-hash.ts';

/** What make() returns if the table is full, or if every server it tried has the client's port in use. */
// @ts-ignore: decorator
@inline export const NO_ROOM: i32 = -1;
// @ts-ignore: decorator
@inline export const CONFLICT: i32 = -2;

// @ts-ignore: decorator
@inline export function sessionAt(nat: usize, index: usize): usize {
  return <usize>load<u32>(nat, NAT_SESSIONS) + (index << SESSION_SHIFT);
}
// @ts-ignore: decorator
@inline export function isLive(session: usize): bool {
  return atomic.load<u32>(session, SESSION_STATE) == SESSION_LIVE;
}
/** Addresses of the addresses of a session's client, the VIP's side, and the server. */
// @ts-ignore: decorator
@inline export function clientOf(six: bool, session: usize): usize {
  return session + (six ? SESSION6_CLIENT : SESSION4_CLIENT);
}
// @ts-ignore: decorator
@inline export function vipOf(six: bool, session: usize): usize {
  return session + (six ? SESSION6_VIP : SESSION4_VIP);
}
// @ts-ignore: decorator
@inline export function serverOf(six: bool, servers: usize, session: usize): usize {
  return six ? addressOfServer(true, servers, load<u32>(session, SESSION_AS)) : session + SESSION4_SERVER;
}
/** Address of the address in the record of a server. */
// @ts-ignore: decorator
@inline export function addressOfServer(six: bool, servers: usize, server: usize): usize {
  return servers + (server << AS_SHIFT) + (six ? AS_ADDRESS : AS_ADDRESS4);
}
/** A flow whose end was seen: both FINs, or RST. */
// @ts-ignore: decorator
@inline export function isClosed(seen: u32): bool {
  const fins = SEEN_FIN_CLIENT | SEEN_FIN_SERVER;
  return (seen & SEEN_RST) != 0 || (seen & fins) == fins;
}
/** SEEN_ bits of a flow before its first packet was looked at. */
// @ts-ignore: decorator
@inline function seenAtFirst(protocol: u32): u32 {
  return protocol == PROTOCOL_UDP ? SEEN_UDP : 0;
}

// @ts-ignore: decorator
@inline function forwardTail(session: usize): u64 {
  return keyTail(load<u32>(session, SESSION_CLIENT_PORT), load<u8>(session, SESSION_PROTOCOL), KEY_FORWARD);
}
// @ts-ignore: decorator
@inline function reverseTail(session: usize): u64 {
  return keyTail(load<u32>(session, SESSION_SERVER_PORT), load<u8>(session, SESSION_PROTOCOL), KEY_REVERSE);
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
  const six = load<u32>(nat, NAT_SIX) != 0;
  const table: usize = load<u32>(nat, NAT_TABLE);
  // The reverse key first: who does not find the flow makes it a session at once, which wants that key.
  deleteReverse(six, nat, table, session);
  deleteKey(six, table, clientOf(six, session), vipOf(six, session), forwardTail(session));
  atomic.sub<u32>(nat, 1, NAT_LIVE);
  return true;
}

function deleteReverse(six: bool, nat: usize, table: usize, session: usize): void {
  deleteKey(six, table, serverOf(six, load<u32>(nat, NAT_SERVERS), session), clientOf(six, session), reverseTail(session));
}

/**
 * Makes the session of a flow's first packet. If the server already has a live flow with the client's address and port
 * (through another VIP), replies could not be told apart; then the next servers of the new-flow table are tried.
 * @param client address of the client's address
 * @param vip address of the address that the client used
 * @param ports as in the packet
 * @param hash META_HASH
 * @param newFlow address of the VIP's new-flow table
 * @param mask of that table
 * @returns index of the session; NO_ROOM or CONFLICT
 */
export function make(
  nat: usize,
  client: usize,
  vip: usize,
  ports: u32,
  protocol: u32,
  hash: u32,
  server: u32,
  newFlow: usize,
  mask: u32,
  now: u32,
): i32 {
  const index = take(nat);
  if (index == 0) return NO_ROOM;
  const six = load<u32>(nat, NAT_SIX) != 0;
  const table: usize = load<u32>(nat, NAT_TABLE);
  const servers: usize = load<u32>(nat, NAT_SERVERS);
  const session = sessionAt(nat, index);
  const seen = seenAtFirst(protocol);
  const bytes: usize = six ? 16 : 4;
  memory.copy(clientOf(six, session), client, bytes);
  memory.copy(vipOf(six, session), vip, bytes);
  store<u32>(session, ports, SESSION_CLIENT_PORT);
  store<u8>(session, <u8>protocol, SESSION_PROTOCOL);
  store<u8>(session, <u8>seen, SESSION_SEEN);
  store<u32>(session, now + load<u32>(nat + (<usize>seen << 2), NAT_TIMEOUTS), SESSION_EXPIRY);
  let result = CONFLICT;
  for (let attempt: u32 = 0; attempt < 32; attempt++) {
    if (server != 0) {
      assign(six, servers, session, server);
      result = claimReverse(six, nat, table, session, index, now);
      if (result != CONFLICT) break;
    }
    server = load<u32>(newFlow + (<usize>((hash + 1 + attempt) & mask) << 2));
  }
  if (result != index) {
    nat_free(nat, index);
    return result;
  }
  const tail = forwardTail(session);
  const keyHash = hashKey(six, client, vip, tail);
  const added = insertKey(six, table, keyHash, client, vip, tail, index);
  if (added == 0) {
    // Live only now that both keys are there: who ends a live session takes both away.
    atomic.store<u32>(session, SESSION_LIVE, SESSION_STATE);
    atomic.add<u32>(nat, 1, NAT_LIVE);
    return index;
  }
  // Another worker made the flow's session meanwhile, or there is no room. This one was never live.
  deleteReverse(six, nat, table, session);
  atomic.store<u32>(session, SESSION_DEAD, SESSION_STATE);
  if (added < 0) return NO_ROOM;
  const found = searchKey(six, table, keyHash, client, vip, tail);
  return found == NONE ? NO_ROOM : <i32>found;
}

/** Gives a session its server. */
function assign(six: bool, servers: usize, session: usize, server: u32): void {
  const address = addressOfServer(six, servers, server);
  const port: u32 = load<u16>(servers + (<usize>server << AS_SHIFT), AS_PORT);
  store<u32>(session, server, SESSION_AS);
  if (!six) store<u32>(session, load<u32>(address), SESSION4_SERVER);
  store<u16>(session, <u16>port, SESSION_SERVER_PORT);
  const addresses = exchange(six, vipOf(six, session), address);
  const ports = not16(load<u16>(session, SESSION_VIP_PORT)) + <u64>port;
  store<u16>(session, <u16>fold(addresses), SESSION_IP_DELTA);
  store<u16>(session, <u16>fold(addresses + ports), SESSION_L4_DELTA);
}

/** What an address in place of another adds to the complement of a checksum (RFC 1624, equation 3), not folded. */
export function exchange(six: bool, gone: usize, come: usize): u64 {
  const bytes: usize = six ? 16 : 4;
  let sum: u64 = 0;
  for (let at: usize = 0; at != bytes; at += 4) sum += not32(load<u32>(gone + at)) + <u64>load<u32>(come + at);
  return sum;
}

/**
 * Enters the reverse key; ends a session that has it but is over. Returns the index, NO_ROOM or CONFLICT; the index of the other session
 * if it is of the very same flow: another worker has made it meanwhile.
 */
function claimReverse(six: bool, nat: usize, table: usize, session: usize, index: u32, now: u32): i32 {
  const server = serverOf(six, load<u32>(nat, NAT_SERVERS), session);
  const client = clientOf(six, session);
  const tail = reverseTail(session);
  const hash = hashKey(six, server, client, tail);
  for (let attempt = 0; attempt < 2; attempt++) {
    const added = insertKey(six, table, hash, server, client, tail, index);
    if (added == 0) {
      const ports = load<u32>(session, SESSION_SERVER_PORT);
      const hint = replyHash(six, server, client, ports, load<u8>(session, SESSION_PROTOCOL));
      putHint(load<u32>(nat, NAT_REPLY_HINTS), load<u32>(nat, NAT_REPLY_HINT_MASK), hint, index);
      return index;
    }
    if (added < 0) return NO_ROOM;
    const other = searchKey(six, table, hash, server, client, tail);
    if (other == NONE) continue;
    const rival = sessionAt(nat, <usize>other);
    const over = <i32>(load<u32>(rival, SESSION_EXPIRY) - now) <= 0 || isClosed(load<u8>(rival, SESSION_SEEN));
    // One that another worker is ending is good enough for this packet.
    if ((!over || !nat_end(nat, <u32>other)) && sameVip(six, session, rival)) return <i32>other;
    if (!over) return CONFLICT;
  }
  return CONFLICT;
}
/** True if the clients of two sessions used the same address and port. */
function sameVip(six: bool, a: usize, b: usize): bool {
  if (load<u16>(a, SESSION_VIP_PORT) != load<u16>(b, SESSION_VIP_PORT)) return false;
  return memory.compare(vipOf(six, a), vipOf(six, b), six ? 16 : 4) == 0;
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
