/**
 * lb4-express and lb6-express: the way from the driver to the encap for packets of established flows, in one node. What ethernet-input,
 * ip4-input, ip4-lookup and a choosing node do, one packet and one node after the other, it does in four loops over the
 * vector: check headers, four at a time; hash; touch the sticky table's lines; look there. It takes whole TCP and UDP packets to
 * VIPs, without options, not fragments, on interfaces without features, that the sticky table knows; all others it leaves
 * untouched to ethernet-input. (src/nodes/express.test.ts compares both ways.)
 */
import { framesOf, metadataOf, metaOf, nowOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_AS, META_DATA, META_DPO, META_HASH, META_L4, META_OPAQUE, NODE_DATA } from '@lbd/graph/src/layout.ts';
import {
  stickyAs,
  stickyBucketAt,
  stickyHits,
  stickyMask,
  stickyRefresh,
  stickyState,
  stickyTimeout,
  stickyTouchAll,
  stickyVips,
} from '@lbd/sticky/assembly/sticky.ts';
import * as E from '../src/express-layout.ts';
import { LB_STICKY, VIP_COUNTER_EXISTING } from '../src/layout.ts';
import { checkRun4, hashRun4, startRun4 } from './express4.ts';
import { hashRun6, startRun6 } from './express6.ts';
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
  const buffers = data + E.EXPRESS_BUFFERS;
  const bytes = <usize>count << 2;
  const last = load<u32>(vector + bytes - 4);
  memory.copy(buffers, vector, bytes);
  store<u64>(buffers + bytes, <u64>last | (<u64>last << 32));
  store<u32>(buffers + bytes, last, 8);
  if (!prepare(six, node, data, lb, <usize>bytes)) return E.EXPRESS_NEXT_ORDINARY;
  stickyTouchAll(load<u32>(lb, LB_STICKY), data + E.EXPRESS_HASHES, count);
  return take(node, data, lb, vector, bytes, nexts);
}

// ---- First: runs of usual packets to one VIP, and their hashes -----------------------------------------------------------

/** Splits the vector into runs; false if none is for a VIP. `end`: four times the packets; places in the vector are counted in bytes, too. */
function prepare(six: bool, node: usize, data: usize, lb: usize, end: usize): bool {
  const runs = data + E.EXPRESS_RUNS;
  let run = runs;
  let some = false;
  for (let at: usize = 0; at < end; run += E.RUN_BYTES) {
    const few = <i32>((run - runs) / E.RUN_BYTES) < E.FREE_RUNS + <i32>(at >> 2) / E.PACKETS_PER_RUN;
    let to = few ? makeRun(six, node, data, lb, at, end, run) : at;
    if (to == at) {
      to = few ? at + 4 : end;
      store<u32>(run, 0, E.RUN_VIP);
    } else some = true;
    store<u32>(run, <u32>to, E.RUN_END);
    at = to;
  }
  return some;
}

/** The end of the run that begins here; the same place, if there is none. */
function makeRun(six: bool, node: usize, data: usize, lb: usize, at: usize, end: usize, run: usize): usize {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const first = data + E.EXPRESS_BUFFERS + at;
  if (six) {
    if (startRun6(node, data, lb, first, run) == 0) return at;
    return hashRun6(at, end, frames, metadata, data, lb);
  }
  if (startRun4(node, data, lb, first, run) == 0) return at;
  const to = min<usize>(checkRun4(at, end, frames, metadata, data), end);
  if (to != at) hashRun4(data, lb, at, to);
  return to;
}

// ---- Then: servers -------------------------------------------------------------------------------------------------------

/** Gives the packets that the sticky table knows their servers; says where all go. */
function take(node: usize, data: usize, lb: usize, vector: usize, end: usize, nexts: usize): i32 {
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
      if (vip != 0) at = existing(from, to, vector, metadata, lb, data, run, now);
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

/** Writes the metadata that the choosing node would have, until a packet comes whose flow the sticky table does not know. */
function existing(
  at: usize,
  end: usize,
  vector: usize,
  metadata: usize,
  lb: usize,
  data: usize,
  run: usize,
  now: u32,
): usize {
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const mask = stickyMask(sticky);
  const expiry = now + stickyTimeout(sticky);
  const vips = stickyVips(load<u32>(run, E.RUN_VIP));
  const nows = i32x4.splat(now);
  const dpo = load<u32>(run, E.RUN_DPO);
  const l4 = load<u32>(run, E.RUN_L4);
  for (let words = data + at; at < end; at += 4, words += 4) {
    const hash = load<u32>(words, E.EXPRESS_HASHES);
    const bucket = stickyBucketAt(sticky, mask, hash);
    const hits = stickyHits(bucket, hash, vips, nows);
    if (hits == 0) break;
    const slot = ctz(hits);
    const meta = metaOf(metadata, load<u32>(words, E.EXPRESS_BUFFERS));
    stickyRefresh(bucket, slot, expiry);
    store<u32>(meta, load<u32>(words, E.EXPRESS_PLACES), META_DATA);
    store<u32>(meta, dpo, META_DPO);
    store<u32>(meta, hash, META_HASH);
    store<u32>(meta, stickyAs(bucket, slot), META_AS);
    store<u32>(meta, l4, META_L4);
    store<u32>(meta, stickyState(bucket, slot), META_OPAQUE);
  }
  return at;
}
