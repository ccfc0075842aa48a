/**
 * lb4, lb4-port, lb6 and lb6-port: choose a server for each packet. A flow that the sticky table knows stays where it is; a new one goes
 * where the VIP's new-flow table says.
 */
import { hash8, search8 } from '@lbd/bihash/assembly/bihash8.ts';
import {
  dataOf,
  fanoutOf,
  framesOf,
  metadataOf,
  metaOf,
  nowOf,
  reason,
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
import { crcHash4, crcHash4From, crcHash4To, flowHash6, flowHash6Sticky, flowKeyed, sipHash4 } from '@lbd/maglev/assembly/flow-hash.ts';
import { IP4_DESTINATION, IP4_SOURCE, IP6_SOURCE, PROTOCOL_TCP, PROTOCOL_UDP } from '@lbd/packet/src/layout.ts';
import {
  stickyAs,
  stickyBucket,
  stickyBucketAt,
  stickyFind,
  stickyFree,
  stickyInsert,
  stickyMask,
  stickyRefresh,
  stickyState,
  stickyTimeout,
  stickyTouch,
} from '@lbd/sticky/assembly/sticky.ts';
import {
  LB_COUNT_NO_SERVER,
  LB_COUNT_NO_VIP,
  LB_COUNTERS,
  LB_HASH,
  LB_NEXT_DROP,
  LB_NEXT_PUNT,
  LB_PORTS,
  LB_STICKY,
  LB_VIPS,
  VIP_COUNTER_EXISTING,
  VIP_COUNTER_FIRST,
  VIP_COUNTER_NO_SERVER,
  VIP_COUNTER_UNTRACKED,
  VIP_COUNTERS_SHIFT,
  VIP_ENCAP,
  VIP_FLAGS,
  VIP_MASK,
  VIP_NEW_FLOW,
  VIP_SHIFT,
  VIP_SRC_IP_STICKY,
} from '../src/layout.ts';

/** All-port VIPs: META_DPO holds the VIP. */
export function lb4(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  hashAll(node, vector, count, false);
  return choose(node, vector, count, nexts);
}

/** Per-port VIPs: META_DPO holds the group of the prefix; with protocol and port it names the VIP. */
export function lb4_port(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  hashAll(node, vector, count, true);
  return choose(node, vector, count, nexts);
}

/** As lb4, for IPv6. */
export function lb6(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  hashAll6(node, vector, count, false);
  return choose(node, vector, count, nexts);
}

/** As lb4_port, for IPv6. */
export function lb6_port(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  hashAll6(node, vector, count, true);
  return choose(node, vector, count, nexts);
}

/** Writes each packet's VIP (0 if none) to META_OPAQUE and its flow hash to META_HASH; touches its sticky bucket. */
// @ts-ignore: decorator
@inline function hashAll(node: usize, vector: usize, count: i32, perPort: bool): void {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node, NODE_DATA);
  const vips: usize = load<u32>(lb, LB_VIPS);
  const ports: usize = load<u32>(lb, LB_PORTS);
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const mask = stickyMask(sticky);
  const flow: usize = load<u32>(lb, LB_HASH);
  const keyed = flowKeyed(flow);
  const end = vector + (<usize>count << 2);
  // Packets of a vector are mostly for one VIP: the last key and what it found are kept.
  let lastKey: u64 = <u64>-1;
  let vip: u32 = 0;
  for (let at = vector; at < end; ) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const l4: u32 = load<u16>(meta, META_L4);
    const protocol: u32 = load<u8>(meta, META_PROTOCOL);
    const hasPorts = (protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP) && l4 + 4 <= <u32>load<u16>(meta, META_LENGTH);
    const pair = hasPorts ? load<u32>(ip + <usize>l4) : 0;
    const index = load<u32>(meta, META_DPO) & 0xffffff;
    if (perPort) {
      const key = <u64>index | ((<u64>pair & 0xffff0000) << 16) | (<u64>protocol << 48);
      if (key != lastKey) {
        const value = search8(ports, hash8(key), key);
        vip = value == <u64>-1 ? 0 : <u32>value;
        lastKey = key;
      }
    } else {
      vip = index;
    }
    const addresses = load<u64>(ip, IP4_SOURCE);
    const bySource = (load<u32>(vips + (<usize>vip << VIP_SHIFT), VIP_FLAGS) & VIP_SRC_IP_STICKY) != 0;
    if (hasPorts && !keyed && !bySource) {
      const to = crcHash4To(flow, <u32>(addresses >> 32), pair >>> 16);
      at = hashRun(at, end, meta, ip, frames, metadata, sticky, mask, flow, to, vip);
      continue;
    }
    const hashed = bySource ? 0 : pair;
    const hash = keyed ? sipHash4(flow, addresses, hashed) : crcHash4(flow, addresses, hashed);
    store<u32>(meta, hash, META_HASH);
    store<u32>(meta, vip, META_OPAQUE);
    stickyTouch(stickyBucketAt(sticky, mask, hash), mask, hash);
    at += 4;
  }
}

/** The same for IPv6 packets. */
// @ts-ignore: decorator
@inline function hashAll6(node: usize, vector: usize, count: i32, perPort: bool): void {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node, NODE_DATA);
  const vips: usize = load<u32>(lb, LB_VIPS);
  const ports: usize = load<u32>(lb, LB_PORTS);
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const mask = stickyMask(sticky);
  const flow: usize = load<u32>(lb, LB_HASH);
  const keyed = flowKeyed(flow);
  const end = vector + (<usize>count << 2);
  for (let at = vector; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const l4: u32 = load<u16>(meta, META_L4);
    const protocol: u32 = load<u8>(meta, META_PROTOCOL);
    const hasPorts = (protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP) && l4 + 4 <= <u32>load<u16>(meta, META_LENGTH);
    const pair = hasPorts ? load<u32>(ip + <usize>l4) : 0;
    let vip = load<u32>(meta, META_DPO) & 0xffffff;
    if (perPort) {
      const key = <u64>vip | ((<u64>pair & 0xffff0000) << 16) | (<u64>protocol << 48);
      const value = search8(ports, hash8(key), key);
      vip = value == <u64>-1 ? 0 : <u32>value;
    }
    const bySource = (load<u32>(vips + (<usize>vip << VIP_SHIFT), VIP_FLAGS) & VIP_SRC_IP_STICKY) != 0;
    const hash = bySource
      ? flowHash6Sticky(flow, keyed, ip + IP6_SOURCE)
      : flowHash6(flow, keyed, ip + IP6_SOURCE, pair);
    store<u32>(meta, hash, META_HASH);
    store<u32>(meta, vip, META_OPAQUE);
    stickyTouch(stickyBucketAt(sticky, mask, hash), mask, hash);
  }
}

/**
 * The same for a run of packets that have ports and go to the address, port and protocol of the first, the model. `to` is
 * the half of the hash that comes from these.
 */
function hashRun(
  at: usize,
  end: usize,
  model: usize,
  modelIp: usize,
  frames: usize,
  metadata: usize,
  sticky: usize,
  mask: u32,
  flow: usize,
  to: u32,
  vip: u32,
): usize {
  const dpo = load<u32>(model, META_DPO);
  const l4: usize = load<u16>(model, META_L4);
  const protocol: u32 = load<u8>(model, META_PROTOCOL);
  const destination = load<u32>(modelIp, IP4_DESTINATION);
  const port: u32 = load<u16>(modelIp + l4, 2);
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const pair = load<u32>(ip + l4);
    if (<usize>load<u16>(meta, META_L4) != l4 || <u32>load<u8>(meta, META_PROTOCOL) != protocol) break;
    if (load<u32>(meta, META_DPO) != dpo || <usize>load<u16>(meta, META_LENGTH) < l4 + 4) break;
    if (load<u32>(ip, IP4_DESTINATION) != destination || pair >>> 16 != port) break;
    const hash = to ^ crcHash4From(flow, load<u32>(ip, IP4_SOURCE), pair & 0xffff);
    store<u32>(meta, hash, META_HASH);
    store<u32>(meta, vip, META_OPAQUE);
    stickyTouch(stickyBucketAt(sticky, mask, hash), mask, hash);
  }
  return at;
}

// @ts-ignore: decorator
@inline function choose(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node, NODE_DATA);
  const vips: usize = load<u32>(lb, LB_VIPS);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  for (let from = vector; from < end; ) {
    const meta = metaOf(metadata, load<u32>(from));
    const vip = load<u32>(meta, META_OPAQUE);
    let at = from;
    if (vip != 0) at = existing(from, end, metadata, load<u32>(lb, LB_STICKY), vip, nowOf(node));
    let slot: u32;
    if (at == from) {
      slot = another(node, lb, vips, meta, vip);
      at += 4;
    } else {
      addToCounter(lb, vip, VIP_COUNTER_EXISTING, <u32>(at - from) >> 2);
      slot = fanoutOf(node) + load<u32>(vips + (<usize>vip << VIP_SHIFT), VIP_ENCAP);
    }
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

/** Gives packets of one VIP the servers, and the encap the state, that the sticky table has, until it has none for one. */
function existing(at: usize, end: usize, metadata: usize, sticky: usize, vip: u32, now: u32): usize {
  const mask = stickyMask(sticky);
  const expiry = now + stickyTimeout(sticky);
  for (; at < end; at += 4) {
    const meta = metaOf(metadata, load<u32>(at));
    const hash = load<u32>(meta, META_HASH);
    if (load<u32>(meta, META_OPAQUE) != vip) break;
    const bucket = stickyBucketAt(sticky, mask, hash);
    const slot = stickyFind(bucket, hash, vip, now);
    if (slot < 0) break;
    stickyRefresh(bucket, slot, expiry);
    store<u32>(meta, stickyAs(bucket, slot), META_AS);
    store<u32>(meta, stickyState(bucket, slot), META_OPAQUE);
  }
  return at;
}

/** A packet without a VIP, or of a flow that the sticky table does not know. Returns its next slot. */
function another(node: usize, lb: usize, vips: usize, meta: usize, vip: u32): u32 {
  if (vip == 0) {
    reason(node, meta, LB_COUNT_NO_VIP);
    return LB_NEXT_PUNT;
  }
  const record = vips + (<usize>vip << VIP_SHIFT);
  const hash = load<u32>(meta, META_HASH);
  const place = hash & load<u32>(record, VIP_MASK);
  const server = load<u32>(<usize>load<u32>(record, VIP_NEW_FLOW) + (<usize>place << 2));
  store<u32>(meta, server, META_AS);
  store<u32>(meta, 0, META_OPAQUE);
  if (server == 0) {
    addToCounter(lb, vip, VIP_COUNTER_NO_SERVER, 1);
    reason(node, meta, LB_COUNT_NO_SERVER);
    return LB_NEXT_DROP;
  }
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const bucket = stickyBucket(sticky, hash);
  const now = nowOf(node);
  const free = stickyFree(bucket, now);
  if (free >= 0) stickyInsert(bucket, free, hash, vip, server, now + stickyTimeout(sticky));
  addToCounter(lb, vip, free >= 0 ? VIP_COUNTER_FIRST : VIP_COUNTER_UNTRACKED, 1);
  return fanoutOf(node) + load<u32>(record, VIP_ENCAP);
}

// @ts-ignore: decorator
@inline function addToCounter(lb: usize, vip: u32, counter: usize, n: u32): void {
  const at: usize = <usize>load<u32>(lb, LB_COUNTERS) + (<usize>vip << VIP_COUNTERS_SHIFT) + (counter << 3);
  store<u64>(at, load<u64>(at) + n);
}
