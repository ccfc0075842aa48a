/**
 * lb-nat4-in2out and lb-nat6-in2out: the packets of servers get the very address and port that their client used. Written once;
 * `six`, a constant, says the family.
 */
import {
  arcOf,
  count as add,
  dataOf,
  framesOf,
  metadataOf,
  metaOf,
  nextFeature,
  nowOf,
  touchLines,
} from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import {
  FLAG_FIRST_FRAGMENT,
  META_FLAGS,
  META_L4,
  META_PROTOCOL,
  META_RX,
  NODE_DATA,
} from '@lbd/graph/src/layout.ts';
import { LB_SERVERS } from '@lbd/lb/src/layout.ts';
import {
  DATA_FOUND,
  DATA_HASHES,
  DATA_LB,
  DATA_NAT,
  DATA_TOUCHED,
  IN2OUT_TRANSLATED,
  NAT_REPLY_HINTS,
  NAT_REPLY_HINT_MASK,
  NAT_SESSIONS,
  SESSION_SHIFT,
} from '../src/layout.ts';
import { hintBucket, hintIn } from './hints.ts';
import { another } from './in2out-others.ts';
import { destinationAt, sourceAt } from './quote.ts';
import { replyHash } from './reply-hash.ts';
import { expires, hasHeader, isReplyOf, touchSession, translateReply } from './translate.ts';

export function nat4_in2out(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  findByHints4(node, vector, count);
  return rewrite(false, node, vector, count, nexts);
}
export function nat6_in2out(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  findByHints6(node, vector, count);
  return rewrite(true, node, vector, count, nexts);
}

function findByHints4(node: usize, vector: usize, count: i32): void {
  findByHints(false, node, vector, count);
}
function findByHints6(node: usize, vector: usize, count: i32): void {
  findByHints(true, node, vector, count);
}

/** Writes where each packet's session may be to DATA_FOUND (0: unknown). */
// @ts-ignore: decorator
@inline function findByHints(six: bool, node: usize, vector: usize, count: i32): void {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const data = node + NODE_DATA;
  const nat: usize = load<u32>(data, DATA_NAT);
  const sessions: usize = load<u32>(nat, NAT_SESSIONS);
  const hints: usize = load<u32>(nat, NAT_REPLY_HINTS);
  const mask = load<u32>(nat, NAT_REPLY_HINT_MASK);
  const end = <usize>count << 2;
  for (let i: usize = 0; i < end; i += 4) {
    const buffer: usize = load<u32>(vector + i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const ports = load<u32>(ip + <usize>load<u16>(meta, META_L4));
    const protocol: u32 = load<u8>(meta, META_PROTOCOL);
    const hash = replyHash(six, ip + sourceAt(six), ip + destinationAt(six), ports, protocol);
    store<u32>(data + i, hash, DATA_HASHES);
    store<u32>(data + i, <u32>hintBucket(hints, mask, hash), DATA_FOUND);
  }
  store<u32>(data, touchLines(data + DATA_FOUND, count), DATA_TOUCHED);
  for (let i: usize = 0; i < end; i += 4) {
    const index = hintIn(load<u32>(data + i, DATA_FOUND), load<u32>(data + i, DATA_HASHES));
    store<u32>(data + i, index, DATA_FOUND);
    touchSession(sessions, index);
  }
}

// @ts-ignore: decorator
@inline function rewrite(six: bool, node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const data = node + NODE_DATA;
  const nat: usize = load<u32>(data, DATA_NAT);
  const servers: usize = load<u32>(<usize>load<u32>(data, DATA_LB), LB_SERVERS);
  const end = vector + (<usize>count << 2);
  const found = data + DATA_FOUND - vector;
  const now = nowOf(node);
  const arc = arcOf(node);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = usualRun(six, vector, end, found, frames, metadata, nat, servers, now);
  for (let from = vector; from < end; at = usualRun(six, from, end, found, frames, metadata, nat, servers, now)) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    let slot: u32 = nextFeature(arc, meta);
    if (at == from) {
      const hash = load<u32>(data + (from - vector), DATA_HASHES);
      slot = another(six, node, nat, servers, meta, dataOf(frames, buffer, meta), hash, slot, now);
      at += 4;
    } else add(node, IN2OUT_TRANSLATED, (at - from) >> 2);
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
  found: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
  servers: usize,
  now: u32,
): usize {
  if (six) return usual6(at, end, found, frames, metadata, nat, servers, now);
  return usual4(at, end, found, frames, metadata, nat, servers, now);
}
function usual4(
  at: usize,
  end: usize,
  found: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
  servers: usize,
  now: u32,
): usize {
  return usual(false, at, end, found, frames, metadata, nat, servers, now);
}
function usual6(
  at: usize,
  end: usize,
  found: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
  servers: usize,
  now: u32,
): usize {
  return usual(true, at, end, found, frames, metadata, nat, servers, now);
}

/**
 * Translates replies that came in on one interface and whose sessions are what the hints say, until one comes that is
 * otherwise; returns its place. `found` plus a place in the vector is where the packet's session stands.
 */
// @ts-ignore: decorator
@inline function usual(
  six: bool,
  at: usize,
  end: usize,
  found: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
  servers: usize,
  now: u32,
): usize {
  if (at == end) return at;
  const sessions: usize = load<u32>(nat, NAT_SESSIONS);
  const rx: u32 = load<u16>(metaOf(metadata, load<u32>(at)), META_RX);
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const session = sessions + (<usize>load<u32>(found + at) << SESSION_SHIFT);
    const protocol: u32 = load<u8>(meta, META_PROTOCOL);
    const l4 = ip + <usize>load<u16>(meta, META_L4);
    if (!isReplyOf(six, servers, session, ip, l4, protocol)) break;
    if (!hasHeader(meta, protocol)) break;
    if (load<u16>(meta, META_RX) != rx || (load<u16>(meta, META_FLAGS) & FLAG_FIRST_FRAGMENT) != 0) break;
    if (expires(six, ip)) break;
    translateReply(six, nat, session, ip, l4, protocol, now);
  }
  return at;
}
