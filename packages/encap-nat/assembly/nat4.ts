/** nat4: the packets of clients get the address and port of their server (destination NAT). */
import { hash16, search16 } from '@lbd/bihash/assembly/bihash16.ts';
import { endsAt, reasonOfDpo, slotOfDpo } from '@lbd/fib/assembly/dpo.ts';
import { DPO_PUNT, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import {
  count as add,
  dataOf,
  fanoutOf,
  framesOf,
  metadataOf,
  metaOf,
  nowOf,
  reason,
  touchLines,
} from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import {
  META_AS,
  META_DPO,
  META_HASH,
  META_L4,
  META_LENGTH,
  META_OPAQUE,
  META_PROTOCOL,
  NODE_DATA,
} from '@lbd/graph/src/layout.ts';
import { setFlowState } from '@lbd/lb/assembly/state.ts';
import { AS_DPO, AS_SHIFT, AS_VIP, LB_SERVERS, LB_VIPS, VIP_MASK, VIP_NEW_FLOW, VIP_SHIFT } from '@lbd/lb/src/layout.ts';
import {
  IP4_CHECKSUM,
  IP4_DESTINATION,
  IP4_SOURCE,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_CHECKSUM,
  TCP_FLAGS,
  TCP_SYN,
  UDP_CHECKSUM,
} from '@lbd/packet/src/layout.ts';
import {
  DATA_FOUND,
  DATA_LB,
  DATA_NAT,
  DATA_TOUCHED,
  DATA_UNKNOWN,
  HINT_INDEX,
  HINT_SHIFT,
  HINT_TAG_SHIFT,
  KEY_FORWARD,
  NAT4_CONFLICT,
  NAT4_CREATED,
  NAT4_FRAGMENT,
  NAT4_FULL,
  NAT4_MOVED,
  NAT4_NEXT_DROP,
  NAT4_TRUNCATED,
  NAT_HINTS,
  NAT_HINT_MASK,
  NAT_SESSIONS,
  NAT_TABLE,
  SEEN_FIN_CLIENT,
  SESSION_ADDRESSES,
  SESSION_AS,
  SESSION_IP_DELTA,
  SESSION_L4_DELTA,
  SESSION_LIVE,
  SESSION_PORTS,
  SESSION_PROTOCOL,
  SESSION_SEEN,
  SESSION_SERVER,
  SESSION_SERVER_PORT,
  SESSION_SHIFT,
  SESSION_STATE,
  SESSION_TOUCHED,
} from '../src/layout.ts';
import { CONFLICT, isClosed, keyTail, make, nat_end, renew, seenAtFirst, seenOfTcp, sessionAt } from './session.ts';

/** The session that open() ends, if there is none. */
// @ts-ignore: decorator
@inline const NEW: u32 = 0;

export function nat4(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const nat: usize = load<u32>(node + NODE_DATA, DATA_NAT);
  const sessions: usize = load<u32>(nat, NAT_SESSIONS);
  const unknown = node + NODE_DATA + DATA_UNKNOWN;
  const end = vector + (<usize>count << 2);
  let last = unknown;
  for (let at = vector; at < end; at += 4) {
    const meta = metaOf(metadata, load<u32>(at));
    const index: usize = load<u32>(meta, META_OPAQUE);
    if (index != 0) touchSession(sessions, index);
    else {
      store<u32>(last, <u32>meta);
      last += 4;
    }
  }
  if (last != unknown) findByHints(node, nat, sessions, <i32>(last - unknown) >> 2);
  return rewrite(node, vector, count, nexts, framesOf(node), metadata, nat);
}

/** A store in place of a load: it does not hold up what follows, and the record will be written anyway. */
// @ts-ignore: decorator
@inline function touchSession(sessions: usize, index: usize): void {
  store<u32>(sessions + (index << SESSION_SHIFT), 0, SESSION_TOUCHED);
}

/** Of packets whose flows have no session in the sticky table: metadata in DATA_UNKNOWN. */
function findByHints(node: usize, nat: usize, sessions: usize, count: i32): void {
  const data = node + NODE_DATA;
  const lb: usize = load<u32>(data, DATA_LB);
  const hints: usize = load<u32>(nat, NAT_HINTS);
  const mask = load<u32>(nat, NAT_HINT_MASK);
  const now = nowOf(node);
  const unknown = data + DATA_UNKNOWN;
  const buckets = data + DATA_FOUND;
  const end = <usize>count << 2;
  for (let i: usize = 0; i < end; i += 4) {
    const hash = load<u32>(load<u32>(unknown + i), META_HASH);
    store<u32>(buckets + i, <u32>(hints + (<usize>(hash & mask) << HINT_SHIFT)));
  }
  store<u32>(data, touchLines(buckets, count), DATA_TOUCHED);
  for (let i: usize = 0; i < end; i += 4) {
    const meta: usize = load<u32>(unknown + i);
    const bucket: usize = load<u32>(buckets + i);
    const tags = i32x4.shr_u(v128.load(bucket), HINT_TAG_SHIFT);
    const same = i32x4.bitmask(i32x4.eq(tags, i32x4.splat(load<u32>(meta, META_HASH) >>> HINT_TAG_SHIFT)));
    if (same == 0) continue;
    const index = load<u32>(bucket + (<usize>ctz(same) << 2)) & HINT_INDEX;
    if (index == 0) continue;
    touchSession(sessions, index);
    store<u32>(meta, index, META_OPAQUE);
    setFlowState(lb, meta, now, index);
  }
}

function rewrite(
  node: usize,
  vector: usize,
  count: i32,
  nexts: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
): i32 {
  const data = node + NODE_DATA;
  const servers: usize = load<u32>(<usize>load<u32>(data, DATA_LB), LB_SERVERS);
  const end = vector + (<usize>count << 2);
  const now = nowOf(node);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = usual(vector, end, frames, metadata, nat, servers, now);
  for (let from = vector; from < end; at = usual(from, end, frames, metadata, nat, servers, now)) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    let slot: u32;
    if (at == from) {
      slot = unusual(node, nat, servers, meta, dataOf(frames, buffer, meta), now);
      at += 4;
    } else slot = slotOfDpo(fanoutOf(node), load<u32>(meta, META_DPO));
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

/**
 * Rewrites packets whose sessions are what META_OPAQUE says, and whose servers' DPOs are of one type, until one comes that
 * is otherwise or may open a session anew; returns its place.
 */
function usual(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
  servers: usize,
  now: u32,
): usize {
  if (at == end) return at;
  const sessions: usize = load<u32>(nat, NAT_SESSIONS);
  const model = metaOf(metadata, load<u32>(at));
  const type = dpoOf(servers, sessions + (<usize>load<u32>(model, META_OPAQUE) << SESSION_SHIFT)) >> DPO_SHIFT;
  if (type <= <u32>DPO_PUNT) return at;
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const session = sessions + (<usize>load<u32>(meta, META_OPAQUE) << SESSION_SHIFT);
    const protocol: u32 = load<u8>(meta, META_PROTOCOL);
    const l4 = ip + <usize>load<u16>(meta, META_L4);
    if (!isOf(session, ip, l4, protocol) || !hasHeader(meta, protocol)) break;
    const dpo = dpoOf(servers, session);
    if (dpo >> DPO_SHIFT != type) break;
    if (protocol == PROTOCOL_TCP && (load<u8>(l4, TCP_FLAGS) & TCP_SYN) != 0) break;
    translate(nat, session, ip, l4, protocol, now);
    store<u32>(meta, load<u32>(session, SESSION_AS), META_AS);
    store<u32>(meta, dpo, META_DPO);
  }
  return at;
}

/** Any other packet. Returns its next slot. */
function unusual(node: usize, nat: usize, servers: usize, meta: usize, ip: usize, now: u32): u32 {
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  const l4 = ip + <usize>load<u16>(meta, META_L4);
  if (!hasHeader(meta, protocol)) {
    reason(node, meta, protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP ? NAT4_TRUNCATED : NAT4_FRAGMENT);
    return NAT4_NEXT_DROP;
  }
  let index = findOrOpen(node, nat, lb, meta, ip, l4, protocol, now);
  if (index > 0 && reopens(nat, index, l4, protocol, meta)) index = open(node, nat, lb, meta, ip, l4, index, now);
  if (index <= 0) return NAT4_NEXT_DROP;
  if (index <= <i32>HINT_INDEX) setFlowState(lb, meta, now, <u32>index);
  const session = sessionAt(nat, index);
  translate(nat, session, ip, l4, protocol, now);
  const dpo = dpoOf(servers, session);
  store<u32>(meta, load<u32>(session, SESSION_AS), META_AS);
  store<u32>(meta, dpo, META_DPO);
  if (endsAt(dpo)) reasonOfDpo(node, meta, dpo);
  return slotOfDpo(fanoutOf(node), dpo);
}

/** Where the packets of a session go next. */
// @ts-ignore: decorator
@inline function dpoOf(servers: usize, session: usize): u32 {
  return load<u32>(servers + (<usize>load<u32>(session, SESSION_AS) << AS_SHIFT), AS_DPO);
}

/** Gives a packet its server's address and port, and the session another while. */
// @ts-ignore: decorator
@inline function translate(nat: usize, session: usize, ip: usize, l4: usize, protocol: u32, now: u32): void {
  let seen: u32 = load<u8>(session, SESSION_SEEN);
  const l4Delta: u32 = load<u16>(session, SESSION_L4_DELTA);
  if (protocol == PROTOCOL_TCP) {
    store<u16>(l4, <u16>moved(load<u16>(l4, TCP_CHECKSUM), l4Delta), TCP_CHECKSUM);
    const more = seen | seenOfTcp(load<u8>(l4, TCP_FLAGS), SEEN_FIN_CLIENT);
    // Another worker may be adding what it saw of the server's packets.
    if (more != seen) atomic.or<u8>(session, <u8>more, SESSION_SEEN);
    seen = more;
  } else {
    const checksum: u32 = load<u16>(l4, UDP_CHECKSUM);
    // 0 is no checksum and stays so; one that computes to 0 is sent as 0xffff (RFC 768)
    if (checksum != 0) {
      const patched = moved(checksum, l4Delta);
      store<u16>(l4, <u16>(patched == 0 ? 0xffff : patched), UDP_CHECKSUM);
    }
  }
  store<u16>(ip, <u16>moved(load<u16>(ip, IP4_CHECKSUM), load<u16>(session, SESSION_IP_DELTA)), IP4_CHECKSUM);
  store<u32>(ip, load<u32>(session, SESSION_SERVER), IP4_DESTINATION);
  store<u16>(l4, load<u16>(session, SESSION_SERVER_PORT), 2);
  renew(nat, session, seen, now);
}

/** True if the session is that of the packet: live, and of the same tuple. */
// @ts-ignore: decorator
@inline function isOf(session: usize, ip: usize, l4: usize, protocol: u32): bool {
  // The state first: the tuple of a record that another worker takes over is written before it is live again.
  return (
    atomic.load<u32>(session, SESSION_STATE) == SESSION_LIVE &&
    load<u64>(session, SESSION_ADDRESSES) == load<u64>(ip, IP4_SOURCE) &&
    load<u32>(session, SESSION_PORTS) == load<u32>(l4) &&
    <u32>load<u8>(session, SESSION_PROTOCOL) == protocol
  );
}

/** The session of a packet whose hint was wrong, by the bihash, made if there is none; hints at it. Negative: drop. */
function findOrOpen(node: usize, nat: usize, lb: usize, meta: usize, ip: usize, l4: usize, protocol: u32, now: u32): i32 {
  const addresses = load<u64>(ip, IP4_SOURCE);
  const tail = keyTail(load<u32>(l4), protocol, KEY_FORWARD);
  const value = search16(load<u32>(nat, NAT_TABLE), hash16(addresses, tail), addresses, tail);
  const index: i32 = value == <u64>-1 ? open(node, nat, lb, meta, ip, l4, NEW, now) : <i32>value;
  if (index > 0 && index <= <i32>HINT_INDEX) hint(nat, load<u32>(meta, META_HASH), <u32>index);
  return index;
}

/** Takes a free place, else the one that the hash says: no order of use is kept. */
// @ts-ignore: decorator
@inline function hint(nat: usize, hash: u32, index: u32): void {
  const bucket: usize = <usize>load<u32>(nat, NAT_HINTS) + (<usize>(hash & load<u32>(nat, NAT_HINT_MASK)) << HINT_SHIFT);
  const free = i32x4.bitmask(i32x4.eq(v128.load(bucket), i32x4.splat(0)));
  const place: u32 = free ? ctz(free) : (hash >>> 22) & 3;
  store<u32>(bucket + (<usize>place << 2), index | ((hash >>> HINT_TAG_SHIFT) << HINT_TAG_SHIFT));
}

/** RFC 1624, equation 3, with what goes and comes folded to 16 bits beforehand. */
// @ts-ignore: decorator
@inline function moved(checksum: u32, delta: u32): u32 {
  const sum = (~checksum & 0xffff) + delta;
  return ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
}

/** True if the packet has a whole TCP header (without options) or UDP header. */
// @ts-ignore: decorator
@inline export function hasHeader(meta: usize, protocol: u32): bool {
  const bytes: u32 = protocol == PROTOCOL_TCP ? 20 : protocol == PROTOCOL_UDP ? 8 : 0x10000;
  return <u32>load<u16>(meta, META_LENGTH) >= <u32>load<u16>(meta, META_L4) + bytes;
}

/** A SYN on a session whose end was seen opens a new connection from the same port; it may go to another server. */
// @ts-ignore: decorator
@inline function reopens(nat: usize, index: u32, l4: usize, protocol: u32, meta: usize): bool {
  if (protocol != PROTOCOL_TCP || (load<u8>(l4, TCP_FLAGS) & TCP_SYN) == 0) return false;
  const session = sessionAt(nat, index);
  return isClosed(load<u8>(session, SESSION_SEEN)) || load<u32>(session, SESSION_AS) == 0 || load<u32>(meta, META_AS) == 0;
}

/** Makes a session for the packet, after ending the one it had (if any). Counts; negative if the packet is to be dropped. */
function open(node: usize, nat: usize, lb: usize, meta: usize, ip: usize, l4: usize, old: u32, now: u32): i32 {
  if (old != NEW) nat_end(nat, old);
  const server = load<u32>(meta, META_AS);
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  const vip = <usize>load<u32>(<usize>load<u32>(lb, LB_SERVERS) + (<usize>server << AS_SHIFT), AS_VIP);
  const record: usize = <usize>load<u32>(lb, LB_VIPS) + (vip << VIP_SHIFT);
  const mask = load<u32>(record, VIP_MASK);
  const index = make(
    nat,
    lb,
    load<u64>(ip, IP4_SOURCE),
    load<u32>(l4),
    protocol,
    seenAtFirst(protocol),
    server,
    load<u32>(record, VIP_NEW_FLOW),
    mask,
    load<u32>(meta, META_HASH) & mask,
    now,
  );
  if (index <= 0) {
    reason(node, meta, index == CONFLICT ? NAT4_CONFLICT : NAT4_FULL);
    return -1;
  }
  add(node, NAT4_CREATED, 1);
  if (load<u32>(sessionAt(nat, index), SESSION_AS) != server) add(node, NAT4_MOVED, 1);
  return index;
}
