/**
 * lb4-express and lb6-express: the way from the driver to the encap for packets of established flows, in one node. What ethernet-input,
 * ip4-input, ip4-lookup and a choosing node do, one packet and one node after the other, it does in two loops over the
 * vector: check headers, hash, and touch the sticky table's lines; look there. It takes whole TCP and UDP packets to
 * VIPs, without options, not fragments, that the sticky table knows, on interfaces without features but l4-checksum, which it does,
 * too; all others it leaves untouched to ethernet-input. (packages/lbd/src/express.test.ts compares both ways.)
 */
import { completeL4 } from '@lbd/fib/assembly/l4-checksum.ts';
import { L4_CHECKSUM_COMPLETED } from '@lbd/fib/src/nodes/places.ts';
import { countFor, dataOf, framesOf, metadataOf, metaOf, nowOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_AS, META_DATA, META_DPO, META_HASH, META_L4, META_LENGTH, META_OPAQUE, NODE_DATA } from '@lbd/graph/src/layout.ts';
import {
  stickyAs,
  stickyBucketAt,
  stickyEntry,
  stickyFind,
  stickyHitsOf,
  stickyMask,
  stickyRefresh,
  stickyState,
  stickyTimeout,
  stickyTouchAll,
  stickyVips,
} from '@lbd/sticky/assembly/sticky.ts';
import * as E from '../src/express-layout.ts';
import { LB_STICKY, VIP_COUNTER_EXISTING } from '../src/layout.ts';
import { checkOne4, checkRun4, startRun4 } from './express4.ts';
import { checkRun6, startRun6 } from './express6.ts';
import { endOfKey, groupByTarget } from './express-group.ts';
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
  let way = prepare(six, node, data, lb, bytes, E.PACKETS_PER_RUN, false);
  if (way == SCATTERED) {
    if (!groupByTarget(six, node, data, vector, bytes)) return E.EXPRESS_NEXT_ORDINARY;
    takeVector(data, vector, bytes);
    way = prepare(six, node, data, lb, bytes, E.PACKETS_PER_GROUPED_RUN, true);
  }
  if (way == NONE) return E.EXPRESS_NEXT_ORDINARY;
  // IPv4 flows' lines are touched where they are hashed. In the IPv6 loop, which has more stores, that cost more than it saved.
  if (six) stickyTouchAll(load<u32>(lb, LB_STICKY), data + E.EXPRESS_HASHES, count);
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

/** No packet is for a VIP. */
const NONE: i32 = 0;
const SOME: i32 = 1;
/** There are more runs than are worth it, and packets for VIPs among them. */
const SCATTERED: i32 = 2;

/**
 * Splits the vector into runs. `end`: four times the packets; places in the vector are counted in bytes, too. Each run costs as much as
 * `packetsPerRun` packets are worth; where these do not pay for it the rest is left to the ordinary way, of a vector that was put
 * in order by keys the rest of those with that key.
 */
function prepare(six: bool, node: usize, data: usize, lb: usize, end: usize, packetsPerRun: i32, grouped: bool): i32 {
  let run = data + E.EXPRESS_RUNS;
  let way = NONE;
  const credit = E.FREE_RUNS * packetsPerRun;
  let left = credit;
  for (let at: usize = 0; at < end; run += E.RUN_BYTES) {
    let to = at;
    if (left > 0) {
      to = makeRun(six, node, data, lb, at, end, run);
      if (to != at) way = SOME;
      else {
        to = at + 4;
        store<u32>(run, 0, E.RUN_VIP);
      }
      left += <i32>((to - at) >> 2) - packetsPerRun;
    } else {
      if (way == SOME) way = SCATTERED;
      to = grouped ? endOfKey(data, at) : end;
      store<u32>(run, 0, E.RUN_VIP);
      left = credit;
    }
    store<u32>(run, <u32>to, E.RUN_END);
    at = to;
  }
  return way;
}

/** The end of the run that begins here; the same place, if there is none. */
function makeRun(six: bool, node: usize, data: usize, lb: usize, at: usize, end: usize, run: usize): usize {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const first = data + E.EXPRESS_BUFFERS + at;
  if (six) {
    if (startRun6(node, data, lb, first, run) == 0) return at;
    return checkRun6(at, end, frames, metadata, data, lb);
  }
  if (startRun4(node, data, lb, first, run) == 0) return at;
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
      if (vip != 0) {
        at = existing(from, to, metadata, lb, data, run, now);
        while (at < to && takeOne(data + at, metadata, lb, run, now)) {
          at = existing(at + 4, to, metadata, lb, data, run, now);
        }
        if (load<u32>(run, E.RUN_COMPLETES) != 0) complete(six, node, data, from, at, load<u32>(run, E.RUN_L4));
      }
      if (at == from) at = vip == 0 ? to : at + 4;
      else {
        slot = encapSlot(node, vipRecord(lb, vip));
        addToCounter(lb, vip, VIP_COUNTER_EXISTING, <u32>(at - from) >> 2);
      }
      if (from != 0 || at != end) sendRun(nexts, vector, vector + from, vector + at, slot);
      any |= slot;
      all &= slot;
      from = at;
    }
  }
  return allRuns(any, all);
}

/** Writes the metadata that the choosing node would have, until a packet comes whose flow is not in its own bucket of the sticky table. */
function existing(
  at: usize,
  end: usize,
  metadata: usize,
  lb: usize,
  data: usize,
  run: usize,
  now: u32,
): usize {
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const mask = stickyMask(sticky);
  const expiry = now + stickyTimeout(sticky);
  // by way of memory: V8 makes vectors of parameters anew in each turn of a loop
  v128.store(data, stickyVips(load<u32>(run, E.RUN_VIP)), E.EXPRESS_VIPS);
  v128.store(data, i32x4.splat(now), E.EXPRESS_NOWS);
  const vips = v128.load(data, E.EXPRESS_VIPS);
  const nows = v128.load(data, E.EXPRESS_NOWS);
  const dpo = load<u32>(run, E.RUN_DPO);
  const l4 = load<u32>(run, E.RUN_L4);
  for (let words = data + at; at < end; at += 4, words += 4) {
    const hash = load<u32>(words, E.EXPRESS_HASHES);
    const bucket = stickyBucketAt(sticky, mask, hash);
    const hits = stickyHitsOf(bucket, v128.load32_splat(words, E.EXPRESS_HASHES), vips, nows);
    if (hits == 0) break;
    give(words, metadata, dpo, l4, stickyEntry(bucket, hits), hash, expiry);
  }
  return at;
}

/** The same for one packet, wherever the sticky table has its flow; false if it does not know it. */
function takeOne(words: usize, metadata: usize, lb: usize, run: usize, now: u32): bool {
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const hash = load<u32>(words, E.EXPRESS_HASHES);
  const entry = stickyFind(sticky, hash, load<u32>(run, E.RUN_VIP), now);
  if (entry == 0) return false;
  give(words, metadata, load<u32>(run, E.RUN_DPO), load<u32>(run, E.RUN_L4), entry, hash, now + stickyTimeout(sticky));
  return true;
}

// @ts-ignore: decorator
@inline function give(words: usize, metadata: usize, dpo: u32, l4: u32, entry: usize, hash: u32, expiry: u32): void {
  const meta = metaOf(metadata, load<u32>(words, E.EXPRESS_BUFFERS));
  stickyRefresh(entry, expiry);
  store<u32>(meta, load<u32>(words, E.EXPRESS_PLACES), META_DATA);
  store<u32>(meta, dpo, META_DPO);
  store<u32>(meta, hash, META_HASH);
  store<u32>(meta, stickyAs(entry), META_AS);
  store<u32>(meta, l4, META_L4);
  store<u32>(meta, stickyState(entry), META_OPAQUE);
}

/** What l4-checksum does to packets that were taken. `l4`: META_L4 and META_PROTOCOL. */
function complete(six: bool, node: usize, data: usize, at: usize, end: usize, l4: u32): void {
  const completed = six
    ? completeRun6(data + at, data + end, framesOf(node), metadataOf(node), l4)
    : completeRun4(data + at, data + end, framesOf(node), metadataOf(node), l4);
  if (completed != 0) countFor(node, E.STANDS_FOR_CHECKSUM, L4_CHECKSUM_COMPLETED, completed);
}
function completeRun4(words: usize, end: usize, frames: usize, metadata: usize, l4: u32): u32 {
  return completeRun(false, words, end, frames, metadata, l4);
}
function completeRun6(words: usize, end: usize, frames: usize, metadata: usize, l4: u32): u32 {
  return completeRun(true, words, end, frames, metadata, l4);
}
// @ts-ignore: decorator
@inline function completeRun(six: bool, words: usize, end: usize, frames: usize, metadata: usize, l4: u32): u32 {
  const offset = l4 & 0xffff;
  const protocol = l4 >>> 16;
  let completed: u32 = 0;
  for (; words < end; words += 4) {
    const buffer: usize = load<u32>(words, E.EXPRESS_BUFFERS);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    completed += completeL4(six, ip, ip + <usize>offset, <u32>load<u16>(meta, META_LENGTH) - offset, protocol);
  }
  return completed;
}
