/**
 * For express.ts: gives packets of established flows what the sticky table says of them, and writes the metadata that the choosing node
 * would have.
 */
import { metaOf } from '@lbd/graph/assembly/abi.ts';
import { META_AS, META_DATA, META_DPO, META_HASH, META_L4, META_OPAQUE } from '@lbd/graph/src/layout.ts';
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
  stickyVips,
  stickyVipsOf,
} from '@lbd/sticky/assembly/sticky.ts';
import * as E from '../src/express-layout.ts';
import { AS_SHIFT, LB_SERVERS, LB_STICKY, VIP_COUNTER_EXISTING, VIP_ENCAP } from '../src/layout.ts';
import { addToCounter } from './flow.ts';
import { vipRecord } from './hash.ts';

/** Takes packets of a run to one VIP, until one comes that the sticky table does not know; returns its place. */
export function takeRun(at: usize, end: usize, metadata: usize, lb: usize, data: usize, run: usize, now: u32): usize {
  at = existing(at, end, metadata, lb, data, run, now);
  while (at < end && takeOne(data + at, metadata, lb, run, now)) at = existing(at + 4, end, metadata, lb, data, run, now);
  return at;
}

/**
 * Takes packets that have a VIP each, all with the encap of the first, until one comes that is otherwise or that the sticky table
 * does not know; returns its place. Counts them for their VIPs.
 */
export function takeMany(at: usize, end: usize, metadata: usize, lb: usize, data: usize, now: u32): usize {
  if (load<u32>(data + at, E.MANY_L4) == 0) return at;
  const from = at;
  const encap = load<u32>(vipRecord(lb, load<u32>(data + at, E.MANY_VIP)), VIP_ENCAP);
  at = existingMany(at, end, metadata, lb, data, encap, now);
  while (at < end && takeOneMany(data + at, metadata, lb, encap, now)) {
    at = existingMany(at + 4, end, metadata, lb, data, encap, now);
  }
  store<u32>(data, touchServers(data + from, data + at, metadata, load<u32>(lb, LB_SERVERS)), E.EXPRESS_TOUCHED);
  return at;
}

// ---- To one VIP ----------------------------------------------------------------------------------------------------------

/** Takes packets until one comes whose flow is not in its own bucket of the sticky table. */
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

// ---- Each to its own -----------------------------------------------------------------------------------------------------

/** As existing(). */
function existingMany(at: usize, end: usize, metadata: usize, lb: usize, data: usize, encap: u32, now: u32): usize {
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const mask = stickyMask(sticky);
  const expiry = now + stickyTimeout(sticky);
  v128.store(data, i32x4.splat(now), E.EXPRESS_NOWS);
  const nows = v128.load(data, E.EXPRESS_NOWS);
  for (let words = data + at; at < end; at += 4, words += 4) {
    const l4 = load<u32>(words, E.MANY_L4);
    if (l4 == 0) break;
    const vip = load<u32>(words, E.MANY_VIP);
    if (load<u32>(vipRecord(lb, vip), VIP_ENCAP) != encap) break;
    const hash = load<u32>(words, E.EXPRESS_HASHES);
    const bucket = stickyBucketAt(sticky, mask, hash);
    const vips = stickyVipsOf(v128.load32_splat(words, E.MANY_VIP));
    const hits = stickyHitsOf(bucket, v128.load32_splat(words, E.EXPRESS_HASHES), vips, nows);
    if (hits == 0) break;
    give(words, metadata, load<u32>(words, E.MANY_DPO), l4, stickyEntry(bucket, hits), hash, expiry);
    addToCounter(lb, vip, VIP_COUNTER_EXISTING, 1);
  }
  return at;
}

/** As takeOne(). */
function takeOneMany(words: usize, metadata: usize, lb: usize, encap: u32, now: u32): bool {
  const l4 = load<u32>(words, E.MANY_L4);
  if (l4 == 0) return false;
  const vip = load<u32>(words, E.MANY_VIP);
  if (load<u32>(vipRecord(lb, vip), VIP_ENCAP) != encap) return false;
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const hash = load<u32>(words, E.EXPRESS_HASHES);
  const entry = stickyFind(sticky, hash, vip, now);
  if (entry == 0) return false;
  give(words, metadata, load<u32>(words, E.MANY_DPO), l4, entry, hash, now + stickyTimeout(sticky));
  addToCounter(lb, vip, VIP_COUNTER_EXISTING, 1);
  return true;
}

/** Brings the records of the packets' servers near, which the encap will want: many VIPs have many. Returns what was loaded. */
function touchServers(words: usize, end: usize, metadata: usize, servers: usize): u32 {
  let touched: u32 = 0;
  for (; words < end; words += 4) {
    const meta = metaOf(metadata, load<u32>(words, E.EXPRESS_BUFFERS));
    touched += load<u32>(servers + (<usize>load<u32>(meta, META_AS) << AS_SHIFT));
  }
  return touched;
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
