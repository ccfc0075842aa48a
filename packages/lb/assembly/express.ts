/**
 * lb4-express and lb6-express: the way from the driver to the encap for packets of established flows, in one node. What ethernet-input,
 * ip4-input, ip4-lookup and a choosing node do, one packet and one node after the other, it does in two loops over the
 * vector: check headers, hash, and touch the sticky table's lines; look there. It takes whole TCP and UDP packets to
 * VIPs, without options, not fragments, that the sticky table knows, on interfaces without features but l4-checksum, which it does,
 * too, and those that let such packets pass; all others it leaves untouched to ethernet-input. (packages/lbd/src/express.test.ts compares both ways.)
 */
import { completeL4 } from '@lbd/fib/assembly/l4-checksum.ts';
import { L4_CHECKSUM_COMPLETED } from '@lbd/fib/src/nodes/places.ts';
import { countFor, dataOf, framesOf, metadataOf, metaOf, nowOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_LENGTH, META_PROTOCOL, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { IP4_BYTES, IP6_BYTES } from '@lbd/packet/src/layout.ts';
import { stickyTouchAll } from '@lbd/sticky/assembly/sticky.ts';
import * as E from '../src/express-layout.ts';
import { LB_STICKY, VIP_COUNTER_EXISTING } from '../src/layout.ts';
import { checkOne4, checkRun4, startRun4 } from './express4.ts';
import { checkRun6, startRun6 } from './express6.ts';
import { prepareMany } from './express-many.ts';
import { takeMany, takeRun } from './express-take.ts';
import { addToCounter, encapSlot } from './flow.ts';
import { vipRecord } from './hash.ts';

export function lb4_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return express(false, node, vector, count, nexts);
}
export function lb6_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return express(true, node, vector, count, nexts);
}

function express(six: bool, node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const data = node + NODE_DATA;
  const lb: usize = load<u32>(data, E.EXPRESS_LB);
  const bytes = <usize>count << 2;
  takeVector(data, vector, bytes);
  const way = prepare(six, node, data, lb, bytes);
  if (way == NONE) return E.EXPRESS_NEXT_ORDINARY;
  if (way == SCATTERED) {
    if (prepareMany(six, node, data, lb, bytes) == 0) return E.EXPRESS_NEXT_ORDINARY;
  } else if (six) {
    // IPv4 flows' lines are touched where they are hashed. In the IPv6 loop, which has more stores, that cost more than it saved.
    stickyTouchAll(load<u32>(lb, LB_STICKY), data + E.EXPRESS_HASHES, count);
  }
  return take(six, node, data, lb, vector, bytes, nexts);
}

/** Copies the vector, and its last packet three times more. */
function takeVector(data: usize, vector: usize, bytes: usize): void {
  const buffers = data + E.EXPRESS_BUFFERS;
  const last = load<u32>(vector + bytes - 4);
  memory.copy(buffers, vector, bytes);
  store<u64>(buffers + bytes, <u64>last | (<u64>last << 32));
  store<u32>(buffers + bytes, last, 8);
}

// ---- First: runs of usual packets to one VIP, and their hashes -----------------------------------------------------------

/** No packet is for a VIP, as far as was looked: neither the first ones nor the last. */
const NONE: i32 = 0;
const SOME: i32 = 1;
/** There are more runs than are worth it, and packets for VIPs among them. */
const SCATTERED: i32 = 2;

/**
 * Splits the vector into runs. `end`: four times the packets; places in the vector are counted in bytes, too. Each run costs as much as
 * PACKETS_PER_RUN packets are worth.
 */
function prepare(six: bool, node: usize, data: usize, lb: usize, end: usize): i32 {
  let run = data + E.EXPRESS_RUNS;
  let way = NONE;
  let left = E.FREE_RUNS * E.PACKETS_PER_RUN;
  for (let at: usize = 0; at < end; run += E.RUN_BYTES) {
    let to = at;
    if (left > 0) {
      to = makeRun(six, node, data, lb, at, end, run);
      if (to != at) way = SOME;
      else {
        to = at + 4;
        store<u32>(run, 0, E.RUN_VIP);
      }
      left += <i32>((to - at) >> 2) - E.PACKETS_PER_RUN;
    } else {
      if (way == SOME || isForVip(six, node, data, lb, end - 4, run)) return SCATTERED;
      to = end;
      store<u32>(run, 0, E.RUN_VIP);
    }
    store<u32>(run, <u32>to, E.RUN_END);
    at = to;
  }
  return way;
}

/** True if a packet is for a VIP; then it is the model of a run. */
function isForVip(six: bool, node: usize, data: usize, lb: usize, at: usize, run: usize): bool {
  const place = data + E.EXPRESS_BUFFERS + at;
  return (six ? startRun6(node, data, lb, place, run) : startRun4(node, data, lb, place, run)) != 0;
}

/** The end of the run that begins here; the same place, if there is none. */
function makeRun(six: bool, node: usize, data: usize, lb: usize, at: usize, end: usize, run: usize): usize {
  if (!isForVip(six, node, data, lb, at, run)) return at;
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  if (six) return checkRun6(at, end, frames, metadata, data, lb);
  let to = checkRun4(at, end, frames, metadata, data, load<u32>(lb, LB_STICKY));
  while (to < end && checkOne4(to, frames, metadata, data, load<u32>(lb, LB_STICKY))) to += 4;
  return min<usize>(to, end);
}

// ---- Then: servers -------------------------------------------------------------------------------------------------------

/** Gives the packets that the sticky table knows their servers; says where all go. */
function take(six: bool, node: usize, data: usize, lb: usize, vector: usize, end: usize, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const now = nowOf(node);
  let any: u32 = 0;
  let all: u32 = ALL;
  let run = data + E.EXPRESS_RUNS;
  for (let from: usize = 0; from < end; run += E.RUN_BYTES) {
    const to: usize = load<u32>(run, E.RUN_END);
    const vip = load<u32>(run, E.RUN_VIP);
    while (from < to) {
      let at = from;
      let slot: u32 = E.EXPRESS_NEXT_ORDINARY;
      if (vip == E.RUN_MANY) {
        at = takeMany(from, to, metadata, lb, data, now);
      } else if (vip != 0) {
        at = takeRun(from, to, metadata, lb, data, run, now);
      }
      if (at == from) at = vip == 0 ? to : at + 4;
      else {
        if (load<u32>(run, E.RUN_COMPLETES) != 0) complete(six, node, data, from, at);
        slot = encapSlot(node, vipRecord(lb, vip == E.RUN_MANY ? load<u32>(data + from, E.MANY_VIP) : vip));
        if (vip != E.RUN_MANY) addToCounter(lb, vip, VIP_COUNTER_EXISTING, <u32>(at - from) >> 2);
      }
      if (from != 0 || at != end) sendRun(nexts, vector, vector + from, vector + at, slot);
      any |= slot;
      all &= slot;
      from = at;
    }
  }
  return allRuns(any, all);
}

/** What l4-checksum does to packets that were taken. */
function complete(six: bool, node: usize, data: usize, at: usize, end: usize): void {
  const completed = six
    ? completeRun6(data + at, data + end, framesOf(node), metadataOf(node))
    : completeRun4(data + at, data + end, framesOf(node), metadataOf(node));
  if (completed != 0) countFor(node, E.STANDS_FOR_CHECKSUM, L4_CHECKSUM_COMPLETED, completed);
}
function completeRun4(words: usize, end: usize, frames: usize, metadata: usize): u32 {
  return completeRun(false, words, end, frames, metadata);
}
function completeRun6(words: usize, end: usize, frames: usize, metadata: usize): u32 {
  return completeRun(true, words, end, frames, metadata);
}
// @ts-ignore: decorator
@inline function completeRun(six: bool, words: usize, end: usize, frames: usize, metadata: usize): u32 {
  const header: u32 = six ? IP6_BYTES : IP4_BYTES;
  let completed: u32 = 0;
  for (; words < end; words += 4) {
    const buffer: usize = load<u32>(words, E.EXPRESS_BUFFERS);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const bytes = <u32>load<u16>(meta, META_LENGTH) - header;
    completed += completeL4(six, ip, ip + <usize>header, bytes, load<u8>(meta, META_PROTOCOL));
  }
  return completed;
}
