/**
 * nat4-express and nat6-express: what nat4 or nat6, and ip4-rewrite or ip6-rewrite do to packets of known sessions whose
 * servers are next hops, in one loop. All others are left as they are to nat4 or nat6.
 */
import { ADJACENCY_MTU, DPO_ADJACENCY4, DPO_ADJACENCY6, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { adjacencyOf } from '@lbd/fib/assembly/dpo.ts';
import { countDown4, countDown6, encapsulate } from '@lbd/fib/assembly/rewrite.ts';
import { dataOf, framesOf, metadataOf, metaOf, nowOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_L4, META_LENGTH, META_OPAQUE, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { AS_DPO, LB_ADJACENCIES, LB_SERVERS } from '@lbd/lb/src/layout.ts';
import { IP4_BYTES, IP4_TTL, IP6_BYTES, IP6_HOP_LIMIT, PROTOCOL_TCP, PROTOCOL_UDP, TCP_FIN, TCP_FLAGS, TCP_RST, TCP_SYN } from '@lbd/packet/src/layout.ts';
import {
  DATA_LB,
  DATA_NAT,
  EXPRESS_NEXT_ORDINARY,
  EXPRESS_NEXT_OUTPUT,
  NAT_SESSIONS,
  SESSION_SHIFT,
} from '../src/layout.ts';
import { asOf, isOf, touchSession, translate } from './translate.ts';

export function nat4_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return express(false, node, vector, count, nexts);
}
export function nat6_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return express(true, node, vector, count, nexts);
}

// @ts-ignore: decorator
@inline function express(six: bool, node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const nat: usize = load<u32>(node + NODE_DATA, DATA_NAT);
  const end = vector + (<usize>count << 2);
  touchSessions(vector, end, metadata, load<u32>(nat, NAT_SESSIONS));
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = sendRunOf(six, vector, end, node, metadata, nat, lb);
  for (let from = vector; from < end; at = sendRunOf(six, from, end, node, metadata, nat, lb)) {
    let slot: u32 = EXPRESS_NEXT_OUTPUT;
    if (at == from) {
      slot = EXPRESS_NEXT_ORDINARY;
      at += 4;
    }
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

// @ts-ignore: decorator
@inline function sendRunOf(six: bool, at: usize, end: usize, node: usize, metadata: usize, nat: usize, lb: usize): usize {
  if (six) return send6(at, end, framesOf(node), metadata, nat, lb, nowOf(node));
  return send4(at, end, framesOf(node), metadata, nat, lb, nowOf(node));
}

function touchSessions(at: usize, end: usize, metadata: usize, sessions: usize): void {
  for (; at < end; at += 4) touchSession(sessions, load<u32>(metaOf(metadata, load<u32>(at)), META_OPAQUE));
}

/** Sends packets of known sessions, until one comes that is not to be; returns its place. */
function send4(at: usize, end: usize, frames: usize, metadata: usize, nat: usize, lb: usize, now: u32): usize {
  return send(false, at, end, frames, metadata, nat, lb, now);
}

function send6(at: usize, end: usize, frames: usize, metadata: usize, nat: usize, lb: usize, now: u32): usize {
  return send(true, at, end, frames, metadata, nat, lb, now);
}

/** META_L4 and META_PROTOCOL behind it, as loaded, of TCP and UDP without options. */
// @ts-ignore: decorator
@inline function l4Of(six: bool, protocol: u32): u32 {
  return (six ? IP6_BYTES : IP4_BYTES) | (protocol << 16);
}

// @ts-ignore: decorator
@inline function send(
  six: bool,
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  nat: usize,
  lb: usize,
  now: u32,
): usize {
  const sessions: usize = load<u32>(nat, NAT_SESSIONS);
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const adjacencies: usize = load<u32>(lb, LB_ADJACENCIES);
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const l4 = ip + (six ? IP6_BYTES : IP4_BYTES);
    const session = sessions + (<usize>load<u32>(meta, META_OPAQUE) << SESSION_SHIFT);
    const as = asOf(servers, session);
    const dpo = load<u32>(as, AS_DPO);
    if (dpo >> DPO_SHIFT != <u32>(six ? DPO_ADJACENCY6 : DPO_ADJACENCY4)) break;
    const adjacency = adjacencyOf(adjacencies, dpo);
    // 0 of an adjacency that can't be used
    if (<u32>load<u16>(meta, META_LENGTH) > load<u32>(adjacency, ADJACENCY_MTU)) break;
    const ttl: u32 = six ? load<u8>(ip, IP6_HOP_LIMIT) : load<u8>(ip, IP4_TTL);
    if (ttl <= 1) break;
    const protocol = load<u32>(meta, META_L4);
    if (protocol == l4Of(six, PROTOCOL_UDP)) {
      if (!isOf(six, session, ip, l4, PROTOCOL_UDP)) break;
      translate(six, nat, session, as, ip, l4, PROTOCOL_UDP, now);
    } else {
      if (protocol != l4Of(six, PROTOCOL_TCP)) break;
      if (!isOf(six, session, ip, l4, PROTOCOL_TCP)) break;
      // What begins or ends a connection changes what the next of these does: they keep their order.
      if (load<u8>(l4, TCP_FLAGS) & (TCP_SYN | TCP_FIN | TCP_RST)) break;
      translate(six, nat, session, as, ip, l4, PROTOCOL_TCP, now);
    }
    if (six) countDown6(ip, ttl);
    else countDown4(ip, ttl);
    encapsulate(meta, ip, adjacency);
  }
  return at;
}
