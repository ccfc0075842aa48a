/**
 * lb-nat4-in2out-express and lb-nat6-in2out-express: the way of servers' packets from the driver to interface-output, in one
 * node. What ethernet-input, the IP layer and the feature lb-nat4-in2out or lb-nat6-in2out do to usual packets of known
 * sessions, one node after the other, it does in a few loops over the vector: check headers and hash; look up destinations; touch the
 * hints; touch the sessions; translate. It takes whole TCP and UDP packets without options, not fragments, to clients behind a next
 * hop, on interfaces that have that feature, and none else but l4-checksum, which it does, too. All others it leaves untouched to ethernet-input. (packages/lbd/src/express-replies.test.ts compares both ways.)
 */
import { completeL4 } from '@lbd/fib/assembly/l4-checksum.ts';
import { countDown4, countDown6, encapsulateAt } from '@lbd/fib/assembly/rewrite.ts';
import { ADJACENCY_MTU } from '@lbd/fib/src/layout.ts';
import { L4_CHECKSUM_COMPLETED } from '@lbd/fib/src/nodes/places.ts';
import {
  countFor,
  featureBit,
  featuresOf,
  framesOf,
  metadataOf,
  metaOf,
  nowOf,
  touchLines,
} from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { MAX_INTERFACES, META_RX, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { LB_ADJACENCIES, LB_SERVERS } from '@lbd/lb/src/layout.ts';
import {
  ETHERNET_BYTES,
  IP4_BYTES,
  IP4_PROTOCOL,
  IP4_TTL,
  IP6_BYTES,
  IP6_HOP_LIMIT,
  IP6_NEXT_HEADER,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '@lbd/packet/src/layout.ts';
import * as E from '../src/express-layout.ts';
import {
  DATA_LB,
  DATA_NAT,
  DATA_TOUCHED,
  IN2OUT_TRANSLATED,
  NAT_FIB,
  NAT_REPLY_HINT_MASK,
  NAT_REPLY_HINTS,
  NAT_SESSIONS,
  SESSION_SHIFT,
} from '../src/layout.ts';
import { hintIn } from './hints.ts';
import { checkRun4, isForNextHop4, modelRun4, resolve4 } from './in2out-express4.ts';
import { checkRun6, isForNextHop6, modelRun6, resolve6 } from './in2out-express6.ts';
import { isReplyOf, touchSession, translateReply } from './translate.ts';

export function nat4_in2out_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return express(false, node, vector, count, nexts);
}
export function nat6_in2out_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return express(true, node, vector, count, nexts);
}

function express(six: bool, node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const bytes = <usize>count << 2;
  const last = load<u32>(vector + bytes - 4);
  // A vector at neither end of which there is a reply is not worth looking through.
  if (!mayTake(six, node, load<u32>(vector)) && !mayTake(six, node, last)) return E.REPLY_NEXT_ORDINARY;
  const data = node + NODE_DATA;
  const nat: usize = load<u32>(data, DATA_NAT);
  const buffers = data + E.REPLY_BUFFERS;
  memory.copy(buffers, vector, bytes);
  store<u64>(buffers + bytes, <u64>last | (<u64>last << 32));
  store<u32>(buffers + bytes, last, 8);
  check(six, node, data, bytes);
  const adjacencies: usize = load<u32>(<usize>load<u32>(data, DATA_LB), LB_ADJACENCIES);
  const fib: usize = load<u32>(nat, NAT_FIB);
  const some = six ? resolve6(data, bytes, fib, adjacencies) : resolve4(data, bytes, fib, adjacencies);
  if (some == 0) return E.REPLY_NEXT_ORDINARY;
  store<u32>(data, touchLines(data + E.REPLY_FOUND, count), DATA_TOUCHED);
  find(data, bytes, load<u32>(nat, NAT_SESSIONS));
  return take(six, node, data, vector, bytes, nexts);
}

// ---- First: which packets may be for it ----------------------------------------------------------------------------------

/** What becomes of the packets of an interface. */
function kindOf(node: usize, rx: u32): u32 {
  // an interface, and no flags behind it
  if (rx >= <u32>MAX_INTERFACES) return E.RUN_LEFT;
  const features = featuresOf(node, rx);
  const in2out = featureBit(node, E.STANDS_FOR_IN2OUT);
  if ((features & in2out) == 0) return E.RUN_LEFT;
  if (features == in2out) return E.RUN_TAKEN;
  return features == (in2out | featureBit(node, E.STANDS_FOR_CHECKSUM)) ? E.RUN_CHECKSUMS : E.RUN_LEFT;
}

function mayTake(six: bool, node: usize, buffer: usize): bool {
  const meta = metaOf(metadataOf(node), buffer);
  if (kindOf(node, load<u32>(meta, META_RX)) == E.RUN_LEFT) return false;
  const fib: usize = load<u32>(<usize>load<u32>(node + NODE_DATA, DATA_NAT), NAT_FIB);
  return six ? isForNextHop6(framesOf(node), buffer, meta, fib) : isForNextHop4(framesOf(node), buffer, meta, fib);
}

/** Splits the vector into runs of one interface each, and says which of their packets are usual. */
function check(six: bool, node: usize, data: usize, end: usize): void {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const nat: usize = load<u32>(data, DATA_NAT);
  const hints: usize = load<u32>(nat, NAT_REPLY_HINTS);
  const mask = load<u32>(nat, NAT_REPLY_HINT_MASK);
  const lastRun = data + E.REPLY_RUNS + (E.MAX_RUNS - 1) * E.RUN_BYTES;
  let run = data + E.REPLY_RUNS;
  for (let at: usize = 0; at < end; run += E.RUN_BYTES) {
    const rx = load<u32>(metaOf(metadata, load<u32>(data + at, E.REPLY_BUFFERS)), META_RX);
    const kind = run == lastRun ? <u32>E.RUN_LEFT : kindOf(node, rx);
    if (kind == E.RUN_LEFT) at = leave(at, end, metadata, data, rx, run == lastRun);
    else if (six) {
      modelRun6(node, data, rx);
      at = checkRun6(at, end, frames, metadata, data, hints, mask);
    } else {
      modelRun4(node, data, rx);
      at = min<usize>(checkRun4(at, end, frames, metadata, data, hints, mask), end);
    }
    store<u32>(run, <u32>at, E.RUN_END);
    store<u32>(run, kind, E.RUN_KIND);
  }
}

/** Takes no packet of an interface; of none of those that follow if `all`. */
function leave(at: usize, end: usize, metadata: usize, data: usize, rx: u32, all: bool): usize {
  for (; at < end; at += 4) {
    if (!all && load<u32>(metaOf(metadata, load<u32>(data + at, E.REPLY_BUFFERS)), META_RX) != rx) break;
    // Any bucket does for a packet that is not usual.
    store<u32>(data + at, <u32>data, E.REPLY_FOUND);
    store<u32>(data + at, 0, E.REPLY_USUAL);
  }
  return at;
}

// ---- Then: their sessions ------------------------------------------------------------------------------------------------

/** The sessions that the hints say, and 0 for packets that are not usual. */
function find(data: usize, end: usize, sessions: usize): void {
  for (let words = data, last = data + end; words < last; words += 4) {
    const hint = hintIn(load<u32>(words, E.REPLY_FOUND), load<u32>(words, E.REPLY_HASHES));
    store<u32>(words, hint & load<u32>(words, E.REPLY_USUAL), E.REPLY_FOUND);
  }
  for (let words = data, last = data + end; words < last; words += 4) {
    touchSession(sessions, load<u32>(words, E.REPLY_FOUND));
  }
}

// ---- And off they go -----------------------------------------------------------------------------------------------------

/** Sends the packets whose sessions are theirs; says where all go. */
function take(six: bool, node: usize, data: usize, vector: usize, end: usize, nexts: usize): i32 {
  let any: u32 = 0;
  let all: u32 = ALL;
  let run = data + E.REPLY_RUNS;
  for (let from: usize = 0; from < end; run += E.RUN_BYTES) {
    const to: usize = load<u32>(run, E.RUN_END);
    const kind = load<u32>(run, E.RUN_KIND);
    while (from < to) {
      let slot: u32 = E.REPLY_NEXT_OUTPUT;
      let at = kind == E.RUN_LEFT ? from : send(six, kind == E.RUN_CHECKSUMS, node, data, from, to);
      if (at != from) countFor(node, E.STANDS_FOR_IN2OUT, IN2OUT_TRANSLATED, (at - from) >> 2);
      else {
        slot = E.REPLY_NEXT_ORDINARY;
        at = kind == E.RUN_LEFT ? to : skip(data, from, to);
      }
      if (from != 0 || at != end) sendRun(nexts, vector, vector + from, vector + at, slot);
      any |= slot;
      all &= slot;
      from = at;
    }
  }
  return allRuns(any, all);
}

/** The place of the next packet that may have a session. */
function skip(data: usize, at: usize, end: usize): usize {
  do at += 4;
  while (at < end && load<u32>(data + at, E.REPLY_FOUND) == 0);
  return at;
}

function send(six: bool, checksums: bool, node: usize, data: usize, at: usize, end: usize): usize {
  if (six) return checksums ? sendCompleted6(node, data, at, end) : send6(node, data, at, end);
  return checksums ? sendCompleted4(node, data, at, end) : send4(node, data, at, end);
}
function send4(node: usize, data: usize, at: usize, end: usize): usize {
  return sendRunOf(false, false, node, data, at, end);
}
function send6(node: usize, data: usize, at: usize, end: usize): usize {
  return sendRunOf(true, false, node, data, at, end);
}
function sendCompleted4(node: usize, data: usize, at: usize, end: usize): usize {
  return sendRunOf(false, true, node, data, at, end);
}
function sendCompleted6(node: usize, data: usize, at: usize, end: usize): usize {
  return sendRunOf(true, true, node, data, at, end);
}

/** Sends packets of the sessions that were found, until one comes that is not to be; returns its place. */
// @ts-ignore: decorator
@inline function sendRunOf(six: bool, checksums: bool, node: usize, data: usize, at: usize, end: usize): usize {
  const metadata = metadataOf(node);
  const now = nowOf(node);
  const nat: usize = load<u32>(data, DATA_NAT);
  const sessions: usize = load<u32>(nat, NAT_SESSIONS);
  const servers: usize = load<u32>(<usize>load<u32>(data, DATA_LB), LB_SERVERS);
  let completed: u32 = 0;
  for (let words = data + at; at < end; at += 4, words += 4) {
    const ip = <usize>load<u32>(words, E.REPLY_FRAMES) + ETHERNET_BYTES;
    const l4 = ip + (six ? IP6_BYTES : IP4_BYTES);
    const session = sessions + (<usize>load<u32>(words, E.REPLY_FOUND) << SESSION_SHIFT);
    const adjacency: usize = load<u32>(words, E.REPLY_ADJACENCIES);
    const place = load<u32>(words, E.REPLY_PLACES);
    // the IP packet; 0 of an adjacency that can't be used
    const length = (place >>> 16) - ETHERNET_BYTES;
    const protocol: u32 = six ? load<u8>(ip, IP6_NEXT_HEADER) : load<u8>(ip, IP4_PROTOCOL);
    const ttl: u32 = six ? load<u8>(ip, IP6_HOP_LIMIT) : load<u8>(ip, IP4_TTL);
    if (!isReplyOf(six, servers, session, ip, l4, protocol)) break;
    if (length > load<u32>(adjacency, ADJACENCY_MTU)) break;
    if (protocol == PROTOCOL_UDP) {
      if (checksums) completed += completeL4(six, ip, l4, length - (six ? IP6_BYTES : IP4_BYTES), PROTOCOL_UDP);
      translateReply(six, nat, session, ip, l4, PROTOCOL_UDP, now);
    } else {
      // Also what begins or ends a connection: what has been seen of it adds up in any order.
      if (checksums) completed += completeL4(six, ip, l4, length - (six ? IP6_BYTES : IP4_BYTES), PROTOCOL_TCP);
      translateReply(six, nat, session, ip, l4, PROTOCOL_TCP, now);
    }
    if (six) countDown6(ip, ttl);
    else countDown4(ip, ttl);
    encapsulateAt(metaOf(metadata, load<u32>(words, E.REPLY_BUFFERS)), ip, place, adjacency);
  }
  if (checksums) countFor(node, E.STANDS_FOR_CHECKSUM, L4_CHECKSUM_COMPLETED, completed);
  return at;
}
