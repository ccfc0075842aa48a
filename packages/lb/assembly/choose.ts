/**
 * lb4, lb4-port, lb6 and lb6-port: choose a server for each packet. A flow that the sticky table knows stays where it is; a
 * new one goes where the VIP's new-flow table says.
 *
 * Twice through the vector. First each packet gets its VIP and its hash, and its line of the sticky table is touched;
 * then the sticky table is asked. Both go by runs of usual packets (see @lbd/graph/assembly/runs.ts): complete TCP or UDP
 * that may be sent on as it is. What ends a run is looked at alone; what is not usual is done by special.ts.
 */
import {
  dataOf,
  framesOf,
  metadataOf,
  metaOf,
  nowOf,
  reason,
} from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import {
  FLAG_FIRST_FRAGMENT,
  META_AS,
  META_DPO,
  META_FLAGS,
  META_HASH,
  META_L4,
  META_LENGTH,
  META_OPAQUE,
  META_PROTOCOL,
  NODE_DATA,
} from '@lbd/graph/src/layout.ts';
import {
  IP4_DESTINATION,
  IP4_SOURCE,
  IP4_TTL,
  IP6_DESTINATION,
  IP6_HOP_LIMIT,
  IP6_SOURCE,
} from '@lbd/packet/src/layout.ts';
import {
  stickyHash4,
  stickyHash6,
  stickyHigh,
  stickyKey,
  stickyLow,
  stickySeed4,
  stickySeed6,
} from '@lbd/sticky/assembly/hash.ts';
import {
  stickyAs,
  stickyBucketAt,
  stickyEntry,
  stickyHits,
  stickyMask,
  stickyRefresh,
  stickyState,
  stickyTimeout,
  stickyTouch,
  stickyVips,
} from '@lbd/sticky/assembly/sticky.ts';
import {
  LB_COUNT_NO_VIP,
  LB_NEXT_PUNT,
  LB_SECRET,
  LB_STICKY,
  SPECIAL,
  VIP_COUNTER_EXISTING,
  VIP_MAX_LENGTH,
  VIP_MIN_TTL,
} from '../src/layout.ts';
import { addToCounter, encapSlot, newFlow } from './flow.ts';
import { hasPorts, isBySource, portsOf, stickyHashOf, vipOfPort, vipRecord } from './hash.ts';
import { isSpecial, special } from './special.ts';

/** All-port VIPs: META_DPO holds the VIP. */
export function lb4(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  hashAll(node, vector, count, false, false);
  return choose(node, vector, count, nexts, false);
}

/** Per-port VIPs: META_DPO holds the group of the prefix; with protocol and port it names the VIP. */
export function lb4_port(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  hashAll(node, vector, count, true, false);
  return choose(node, vector, count, nexts, true);
}

/** As lb4, for IPv6. */
export function lb6(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  hashAll(node, vector, count, false, true);
  return choose(node, vector, count, nexts, false);
}

/** As lb4_port, for IPv6. */
export function lb6_port(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  hashAll(node, vector, count, true, true);
  return choose(node, vector, count, nexts, true);
}

// ---- First: VIPs and hashes --------------------------------------------------------------------------------------------

/** Writes to META_OPAQUE each packet's VIP (0 if none), or-ed with SPECIAL if it is not usual, and its flow's hash to META_HASH. */
// @ts-ignore: decorator
@inline function hashAll(node: usize, vector: usize, count: i32, perPort: bool, six: bool): void {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node, NODE_DATA);
  const end = vector + (<usize>count << 2);
  for (let at = vector; at < end; ) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    let vip = load<u32>(meta, META_DPO) & 0xffffff;
    if (perPort) vip = vipOfPort(lb, vip, load<u8>(meta, META_PROTOCOL), portsOf(ip, meta) >>> 16);
    const from = at;
    if (hasPorts(meta)) {
      at = six
        ? hashRun6(at, end, meta, ip, frames, metadata, lb, vip)
        : hashRun4(at, end, meta, ip, frames, metadata, lb, vip);
    }
    if (at == from) {
      hashOne(lb, ip, meta, vip);
      at += 4;
    }
  }
}

/** One packet that no run takes. */
function hashOne(lb: usize, ip: usize, meta: usize, vip: u32): void {
  if (isSpecial(lb, ip, meta, vip)) {
    store<u32>(meta, SPECIAL | vip, META_OPAQUE);
    return;
  }
  store<u32>(meta, vip, META_OPAQUE);
  if (vip == 0) return;
  const hash = stickyHashOf(lb, ip, meta, vipRecord(lb, vip));
  store<u32>(meta, hash, META_HASH);
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const mask = stickyMask(sticky);
  stickyTouch(stickyBucketAt(sticky, mask, hash), mask, hash);
}

function hashRun4(
  at: usize, end: usize, model: usize, ip: usize, frames: usize, metadata: usize, lb: usize, vip: u32,
): usize {
  return hashRun(false, at, end, model, ip, frames, metadata, lb, vip);
}
function hashRun6(
  at: usize, end: usize, model: usize, ip: usize, frames: usize, metadata: usize, lb: usize, vip: u32,
): usize {
  return hashRun(true, at, end, model, ip, frames, metadata, lb, vip);
}

/** META_L4 and META_PROTOCOL behind it, of the word as loaded. */
const L4_AND_PROTOCOL: u32 = 0xffffff;

/**
 * A run of usual packets that have ports and go to the address, port and protocol of the first, the model. Returns the place
 * of the first packet that is another; the model's own, if it is not usual.
 */
// @ts-ignore: decorator
@inline function hashRun(
  six: bool,
  at: usize,
  end: usize,
  model: usize,
  modelIp: usize,
  frames: usize,
  metadata: usize,
  lb: usize,
  vip: u32,
): usize {
  const record = vipRecord(lb, vip);
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const mask = stickyMask(sticky);
  const dpo = load<u32>(model, META_DPO);
  const l4AndProtocol = load<u32>(model, META_L4) & L4_AND_PROTOCOL;
  const l4: usize = l4AndProtocol & 0xffff;
  const destination = six ? load<u64>(modelIp, IP6_DESTINATION) : <u64>load<u32>(modelIp, IP4_DESTINATION);
  const destinationLow: u64 = six ? load<u64>(modelIp, IP6_DESTINATION + 8) : 0;
  const secret = lb + LB_SECRET;
  const seed = six ? stickySeed6(secret, modelIp + IP6_DESTINATION) : stickySeed4(secret, <u32>destination);
  const key = stickyKey(secret);
  const high: u64 = six ? stickyHigh(secret) : 0;
  const low: u64 = six ? stickyLow(secret) : 0;
  const port: u32 = load<u16>(modelIp + l4, 2);
  const hashed: u32 = isBySource(record) ? 0 : -1;
  const least: u32 = <u32>l4 + 4;
  const most: u32 = load<u16>(record, VIP_MAX_LENGTH);
  const minTtl: u32 = load<u8>(record, VIP_MIN_TTL);
  if (most < least) return at;
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const pair = load<u32>(ip + l4);
    if ((load<u32>(meta, META_L4) & L4_AND_PROTOCOL) != l4AndProtocol) break;
    if (load<u32>(meta, META_DPO) != dpo) break;
    // one comparison for both: the least and the most
    if (<u32>load<u16>(meta, META_LENGTH) - least > most - least) break;
    if (six) {
      if (load<u64>(ip, IP6_DESTINATION) != destination) break;
      if (load<u64>(ip, IP6_DESTINATION + 8) != destinationLow) break;
    } else if (load<u32>(ip, IP4_DESTINATION) != <u32>destination) break;
    if (pair >>> 16 != port) break;
    if (load<u16>(meta, META_FLAGS) & FLAG_FIRST_FRAGMENT) break;
    if (<u32>load<u8>(ip + <usize>(six ? IP6_HOP_LIMIT : IP4_TTL)) < minTtl) break;
    const hash = six
      ? stickyHash6(seed, key, high, low, ip + IP6_SOURCE, pair & hashed)
      : stickyHash4(seed, key, load<u32>(ip, IP4_SOURCE), pair & hashed);
    store<u32>(meta, hash, META_HASH);
    store<u32>(meta, vip, META_OPAQUE);
    stickyTouch(stickyBucketAt(sticky, mask, hash), mask, hash);
  }
  return at;
}

// ---- Then: servers -----------------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline function choose(node: usize, vector: usize, count: i32, nexts: usize, perPort: bool): i32 {
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node, NODE_DATA);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  for (let from = vector; from < end; ) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    const vip = load<u32>(meta, META_OPAQUE);
    let at = from;
    if (vip - 1 < SPECIAL - 1) at = existing(from, end, metadata, load<u32>(lb, LB_STICKY), vip, nowOf(node));
    let slot: u32;
    if (at == from) {
      slot = another(node, lb, dataOf(framesOf(node), buffer, meta), meta, vip, perPort);
      at += 4;
    } else {
      addToCounter(lb, vip, VIP_COUNTER_EXISTING, <u32>(at - from) >> 2);
      slot = encapSlot(node, vipRecord(lb, vip));
    }
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

/** Gives packets of one VIP the servers, and the encap the state, that the sticky table has, until it has none for one in its own bucket. */
function existing(at: usize, end: usize, metadata: usize, sticky: usize, vip: u32, now: u32): usize {
  const mask = stickyMask(sticky);
  const expiry = now + stickyTimeout(sticky);
  const vips = stickyVips(vip);
  const nows = i32x4.splat(now);
  for (; at < end; at += 4) {
    const meta = metaOf(metadata, load<u32>(at));
    const hash = load<u32>(meta, META_HASH);
    if (load<u32>(meta, META_OPAQUE) != vip) break;
    const bucket = stickyBucketAt(sticky, mask, hash);
    const hits = stickyHits(bucket, hash, vips, nows);
    if (hits == 0) break;
    const entry = stickyEntry(bucket, hits);
    stickyRefresh(entry, expiry);
    store<u32>(meta, stickyAs(entry), META_AS);
    store<u32>(meta, stickyState(entry), META_OPAQUE);
  }
  return at;
}

/** A packet that is not usual, has no VIP, or is of a flow that is not in its own bucket of the sticky table. Returns its next slot. */
function another(node: usize, lb: usize, ip: usize, meta: usize, vip: u32, perPort: bool): u32 {
  if (vip & SPECIAL) return special(node, ip, meta, vip ^ SPECIAL, perPort);
  if (vip != 0) return newFlow(node, lb, ip, meta, vip);
  store<u32>(meta, 0, META_AS);
  reason(node, meta, LB_COUNT_NO_VIP);
  return LB_NEXT_PUNT;
}
