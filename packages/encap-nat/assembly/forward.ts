/**
 * nat4 and nat6: the packets of clients get the address and port of their server (destination NAT). Written once; `six`, a
 * constant, says the family.
 */
import { slotOfDpo } from '@lbd/fib/assembly/dpo.ts';
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
  FLAG_FIRST_FRAGMENT,
  META_AS,
  META_DPO,
  META_FLAGS,
  META_HASH,
  META_L4,
  META_OPAQUE,
  META_PROTOCOL,
  NODE_DATA,
  PROTOCOL_NONE,
} from '@lbd/graph/src/layout.ts';
import { serverOf, toServer } from '@lbd/lb/assembly/encap.ts';
import { moveFragments } from '@lbd/lb/assembly/fragments.ts';
import { keepFlow, noServer, setFlowState } from '@lbd/lb/assembly/state.ts';
import { AS_DPO, AS_SHIFT, AS_VIP, LB_SERVERS, LB_VIPS, VIP_MASK, VIP_NEW_FLOW, VIP_SHIFT } from '@lbd/lb/src/layout.ts';
import {
  IP4_DESTINATION,
  IP4_SOURCE,
  IP6_DESTINATION,
  IP6_SOURCE,
  PROTOCOL_ICMP4,
  PROTOCOL_ICMP6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_FLAGS,
  TCP_SYN,
} from '@lbd/packet/src/layout.ts';
import {
  DATA_FOUND,
  DATA_LB,
  DATA_NAT,
  DATA_TOUCHED,
  DATA_UNKNOWN,
  HINT_INDEX,
  KEY_FORWARD,
  NAT_CONFLICT,
  NAT_CREATED,
  NAT_ERRORS,
  NAT_FULL,
  NAT_HINTS,
  NAT_HINT_MASK,
  NAT_MOVED,
  NAT_NEXT_DROP,
  NAT_NO_PORTS,
  NAT_NO_SERVER,
  NAT_SESSIONS,
  NAT_TABLE,
  NAT_TRUNCATED,
  SESSION_AS,
  SESSION_SEEN,
  SESSION_SHIFT,
} from '../src/layout.ts';
import { readdressFragment, translateError } from './forward-others.ts';
import { hintBucket, hintIn, putHint } from './hints.ts';
import { NONE, hashKey, keyTail, searchKey } from './keys.ts';
import { CONFLICT, isClosed, make, nat_end, sessionAt } from './session.ts';
import { asOf, hasHeader, isOf, touchSession, translate } from './translate.ts';

export function nat4(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return forward(false, node, vector, count, nexts);
}
export function nat6(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return forward(true, node, vector, count, nexts);
}

// @ts-ignore: decorator
@inline function forward(six: bool, node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const nat: usize = load<u32>(node + NODE_DATA, DATA_NAT);
  const sessions: usize = load<u32>(nat, NAT_SESSIONS);
  const unknown = node + NODE_DATA + DATA_UNKNOWN;
  const end = vector + (<usize>count << 2);
  let last = unknown;
  for (let at = vector; at < end; at += 4) {
    const meta = metaOf(metadata, load<u32>(at));
    const index = load<u32>(meta, META_OPAQUE);
    if (index != 0) touchSession(sessions, index);
    else {
      store<u32>(last, <u32>meta);
      last += 4;
    }
  }
  if (last != unknown) findByHints(node, nat, sessions, <i32>(last - unknown) >> 2);
  if (six) return rewrite6(node, vector, count, nexts, framesOf(node), metadata, nat);
  return rewrite4(node, vector, count, nexts, framesOf(node), metadata, nat);
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
    store<u32>(buckets + i, <u32>hintBucket(hints, mask, hash));
  }
  store<u32>(data, touchLines(buckets, count), DATA_TOUCHED);
  for (let i: usize = 0; i < end; i += 4) {
    const meta: usize = load<u32>(unknown + i);
    // Nobody but the flow's own session says where it goes: whole tuples are compared.
    if (load<u32>(meta, META_AS) == 0) continue;
    const index = hintIn(load<u32>(buckets + i), load<u32>(meta, META_HASH));
    if (index == 0) continue;
    touchSession(sessions, index);
    store<u32>(meta, index, META_OPAQUE);
    setFlowState(lb, meta, now, index);
  }
}

function rewrite4(
  node: usize,
  vector: usize,
  count: i32,
  nexts: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
): i32 {
  return rewrite(false, node, vector, count, nexts, frames, metadata, nat);
}
function rewrite6(
  node: usize,
  vector: usize,
  count: i32,
  nexts: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
): i32 {
  return rewrite(true, node, vector, count, nexts, frames, metadata, nat);
}

// @ts-ignore: decorator
@inline function rewrite(
  six: bool,
  node: usize,
  vector: usize,
  count: i32,
  nexts: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
): i32 {
  const servers: usize = load<u32>(<usize>load<u32>(node + NODE_DATA, DATA_LB), LB_SERVERS);
  const end = vector + (<usize>count << 2);
  const now = nowOf(node);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = usualRun(six, vector, end, frames, metadata, nat, servers, now);
  for (let from = vector; from < end; at = usualRun(six, from, end, frames, metadata, nat, servers, now)) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    let slot: u32;
    if (at == from) {
      slot = unusual(six, node, nat, servers, meta, dataOf(frames, buffer, meta), now);
      at += 4;
    } else slot = slotOfDpo(fanoutOf(node), load<u32>(meta, META_DPO));
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

// @ts-ignore: decorator
@inline function usualRun(
  six: bool,
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
  servers: usize,
  now: u32,
): usize {
  if (six) return usual6(at, end, frames, metadata, nat, servers, now);
  return usual4(at, end, frames, metadata, nat, servers, now);
}
function usual4(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
  servers: usize,
  now: u32,
): usize {
  return usual(false, at, end, frames, metadata, nat, servers, now);
}
function usual6(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
  servers: usize,
  now: u32,
): usize {
  return usual(true, at, end, frames, metadata, nat, servers, now);
}

/**
 * Rewrites packets whose sessions are what META_OPAQUE says, and whose servers' DPOs are of one type, until one comes that
 * is otherwise, may open a session anew, or has later fragments; returns its place.
 */
// @ts-ignore: decorator
@inline function usual(
  six: bool,
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
  const first: usize = load<u32>(metaOf(metadata, load<u32>(at)), META_OPAQUE);
  const type = load<u32>(asOf(servers, sessions + (first << SESSION_SHIFT)), AS_DPO) >> DPO_SHIFT;
  if (type <= <u32>DPO_PUNT) return at;
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const session = sessions + (<usize>load<u32>(meta, META_OPAQUE) << SESSION_SHIFT);
    const protocol: u32 = load<u8>(meta, META_PROTOCOL);
    const l4 = ip + <usize>load<u16>(meta, META_L4);
    if (!isOf(six, session, ip, l4, protocol)) break;
    if (!hasHeader(meta, protocol)) break;
    const as = asOf(servers, session);
    const dpo = load<u32>(as, AS_DPO);
    if (dpo >> DPO_SHIFT != type) break;
    if (protocol == PROTOCOL_TCP && (load<u8>(l4, TCP_FLAGS) & TCP_SYN) != 0) break;
    if (load<u16>(meta, META_FLAGS) & FLAG_FIRST_FRAGMENT) break;
    translate(six, nat, session, as, ip, l4, protocol, now);
    store<u32>(meta, load<u32>(session, SESSION_AS), META_AS);
    store<u32>(meta, dpo, META_DPO);
  }
  return at;
}

/** Any other packet. Returns its next slot. */
function unusual(six: bool, node: usize, nat: usize, servers: usize, meta: usize, ip: usize, now: u32): u32 {
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  if (protocol == PROTOCOL_NONE) {
    readdressFragment(six, lb, servers, meta, ip, now);
  } else if (protocol == (six ? PROTOCOL_ICMP6 : PROTOCOL_ICMP4)) {
    if (!translateError(six, nat, servers, meta, ip)) {
      reason(node, meta, NAT_NO_PORTS);
      return NAT_NEXT_DROP;
    }
    if (load<u32>(meta, META_AS) == 0) return withoutServer(node, lb, meta);
    add(node, NAT_ERRORS, 1);
  } else {
    const index = sessionOf(six, node, nat, lb, meta, ip, protocol, now);
    if (index <= 0) return NAT_NEXT_DROP;
    const session = sessionAt(nat, index);
    const server = load<u32>(session, SESSION_AS);
    const chosen = load<u32>(meta, META_AS);
    if (chosen == 0) keepFlow(lb, meta, now, server);
    if (index <= <i32>HINT_INDEX) setFlowState(lb, meta, now, <u32>index);
    if (server != chosen) {
      store<u32>(meta, server, META_AS);
      if (load<u16>(meta, META_FLAGS) & FLAG_FIRST_FRAGMENT) moveFragments(lb, ip, meta, now);
    }
    const l4 = ip + <usize>load<u16>(meta, META_L4);
    translate(six, nat, session, asOf(servers, session), ip, l4, protocol, now);
  }
  return toServer(node, meta, serverOf(servers, meta), fanoutOf(node));
}

/** A packet that no server is for. Counts; returns its next slot. */
function withoutServer(node: usize, lb: usize, meta: usize): u32 {
  noServer(lb, meta);
  reason(node, meta, NAT_NO_SERVER);
  return NAT_NEXT_DROP;
}

/** The session of a packet with ports whose hint was wrong. Counts; negative if the packet is to be dropped. */
function sessionOf(
  six: bool,
  node: usize,
  nat: usize,
  lb: usize,
  meta: usize,
  ip: usize,
  protocol: u32,
  now: u32,
): i32 {
  if (!hasHeader(meta, protocol)) {
    reason(node, meta, protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP ? NAT_TRUNCATED : NAT_NO_PORTS);
    return -1;
  }
  const l4 = ip + <usize>load<u16>(meta, META_L4);
  const client = ip + (six ? IP6_SOURCE : IP4_SOURCE);
  const vip = ip + (six ? IP6_DESTINATION : IP4_DESTINATION);
  const table: usize = load<u32>(nat, NAT_TABLE);
  const tail = keyTail(load<u32>(l4), protocol, KEY_FORWARD);
  const value = searchKey(six, table, hashKey(six, client, vip, tail), client, vip, tail);
  let index: i32 = value == NONE ? 0 : <i32>value;
  if (index > 0 && reopens(nat, index, l4, protocol)) {
    nat_end(nat, index);
    index = 0;
  }
  if (index == 0 && load<u32>(meta, META_AS) == 0) {
    withoutServer(node, lb, meta);
    return -1;
  }
  if (index == 0) index = open(node, nat, lb, meta, client, vip, load<u32>(l4), protocol, now);
  if (index > 0) {
    putHint(load<u32>(nat, NAT_HINTS), load<u32>(nat, NAT_HINT_MASK), load<u32>(meta, META_HASH), <u32>index);
  }
  return index;
}

/** A SYN on a session whose end was seen opens a new connection from the same port; it may go to another server. */
function reopens(nat: usize, index: u32, l4: usize, protocol: u32): bool {
  if (protocol != PROTOCOL_TCP || (load<u8>(l4, TCP_FLAGS) & TCP_SYN) == 0) return false;
  return isClosed(load<u8>(sessionAt(nat, index), SESSION_SEEN));
}

/** Makes a session for the packet. Counts; negative if the packet is to be dropped. */
function open(
  node: usize,
  nat: usize,
  lb: usize,
  meta: usize,
  client: usize,
  vip: usize,
  ports: u32,
  protocol: u32,
  now: u32,
): i32 {
  const server = load<u32>(meta, META_AS);
  const its: usize = load<u32>(<usize>load<u32>(lb, LB_SERVERS) + (<usize>server << AS_SHIFT), AS_VIP);
  const record: usize = <usize>load<u32>(lb, LB_VIPS) + (its << VIP_SHIFT);
  const newFlow: usize = load<u32>(record, VIP_NEW_FLOW);
  const hash = load<u32>(meta, META_HASH);
  const index = make(nat, client, vip, ports, protocol, hash, server, newFlow, load<u32>(record, VIP_MASK), now);
  if (index <= 0) {
    reason(node, meta, index == CONFLICT ? NAT_CONFLICT : NAT_FULL);
    return -1;
  }
  add(node, NAT_CREATED, 1);
  if (load<u32>(sessionAt(nat, index), SESSION_AS) != server) add(node, NAT_MOVED, 1);
  return index;
}
