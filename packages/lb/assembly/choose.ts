/**
 * lb4 and lb4-port: choose a server for each packet. A flow that the sticky table knows stays where it is; a new one goes
 * where the VIP's new-flow table says.
 */
import { hash8, search8 } from '@lbd/bihash/assembly/bihash8.ts';
import {
  bufferAt,
  dataOf,
  fanoutOf,
  framesOf,
  metadataOf,
  metaOf,
  nowOf,
  reason,
  touchLines,
} from '@lbd/graph/assembly/abi.ts';
import {
  META_AS,
  META_DPO,
  META_HASH,
  META_L4,
  META_LENGTH,
  META_PROTOCOL,
  MIXED,
  NODE_DATA,
} from '@lbd/graph/src/layout.ts';
import { crcHash4From, crcHash4To, flowKeyed, sipHash4 } from '@lbd/maglev/assembly/flow-hash.ts';
import { IP4_SOURCE, PROTOCOL_TCP, PROTOCOL_UDP } from '@lbd/packet/src/layout.ts';
import {
  stickyAs,
  stickyBucketAt,
  stickyFind,
  stickyFree,
  stickyInsert,
  stickyMask,
  stickyRefresh,
  stickyTimeout,
} from '@lbd/sticky/assembly/sticky.ts';
import {
  LB_BUCKETS,
  LB_COUNT_FRAGMENT,
  LB_COUNT_NO_SERVER,
  LB_COUNT_NO_VIP,
  LB_COUNTERS,
  LB_HASH,
  LB_NEXT_DROP,
  LB_NEXT_PUNT,
  LB_PORTS,
  LB_SCRATCH,
  LB_STICKY,
  LB_TOUCHED,
  LB_VIPS,
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

/** Writes each packet's VIP (0 if none) to the scratch and its flow hash to META_HASH; touches its sticky bucket. */
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
  // Packets of a vector are mostly for one VIP: the last key and what it found are kept.
  let lastKey: u64 = <u64>-1;
  // So is the half of the hash that comes from destination and port.
  let lastTo: u64 = 0;
  let toHash: u32 = 0;
  let vip: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
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
    const flags = load<u32>(vips + (<usize>vip << VIP_SHIFT), VIP_FLAGS);
    const addresses = load<u64>(ip, IP4_SOURCE);
    const hashed = flags & VIP_SRC_IP_STICKY ? 0 : pair;
    let hash: u32;
    if (keyed) {
      hash = sipHash4(flow, addresses, hashed);
    } else {
      const to = (addresses & 0xffffffff00000000) | <u64>(hashed >>> 16);
      if (to != lastTo) {
        lastTo = to;
        toHash = crcHash4To(flow, <u32>(addresses >> 32), hashed >>> 16);
      }
      hash = toHash ^ crcHash4From(flow, <u32>addresses, hashed & 0xffff);
    }
    store<u32>(meta, hash, META_HASH);
    store<u32>(lb + (<usize>i << 2), vip, LB_SCRATCH);
    store<u32>(lb + (<usize>i << 2), <u32>stickyBucketAt(sticky, mask, hash), LB_BUCKETS);
  }
  store<u32>(lb, touchLines(lb + LB_BUCKETS, count), LB_TOUCHED);
}

// @ts-ignore: decorator
@inline function choose(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node, NODE_DATA);
  const vips: usize = load<u32>(lb, LB_VIPS);
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const fanout = fanoutOf(node);
  const now = nowOf(node);
  const expiry = now + stickyTimeout(sticky);
  let first: u32 = 0;
  let different: u32 = 0;
  // Counters of the VIP under way, added up when another follows.
  let counted: u32 = 0;
  let existing: u64 = 0;
  let fresh: u64 = 0;
  let untracked: u64 = 0;
  let noServer: u64 = 0;
  for (let i = 0; i < count; i++) {
    const meta = metaOf(metadata, bufferAt(vector, i));
    const vip = load<u32>(lb + (<usize>i << 2), LB_SCRATCH);
    let next: u32;
    if (vip != counted) {
      addCounters(lb, counted, existing, fresh, untracked, noServer);
      existing = fresh = untracked = noServer = 0;
      counted = vip;
    }
    if (vip == 0) {
      next = LB_NEXT_PUNT;
      reason(node, meta, load<u8>(meta, META_PROTOCOL) == 255 ? LB_COUNT_FRAGMENT : LB_COUNT_NO_VIP);
    } else {
      const record = vips + (<usize>vip << VIP_SHIFT);
      const hash = load<u32>(meta, META_HASH);
      const bucket: usize = load<u32>(lb + (<usize>i << 2), LB_BUCKETS);
      const slot = stickyFind(bucket, hash, vip, now);
      let server: u32;
      if (slot >= 0) {
        server = stickyAs(bucket, slot);
        stickyRefresh(bucket, slot, expiry);
        existing++;
      } else {
        const place = hash & load<u32>(record, VIP_MASK);
        server = load<u32>(<usize>load<u32>(record, VIP_NEW_FLOW) + (<usize>place << 2));
        const free = stickyFree(bucket, now);
        if (server == 0) {
          noServer++;
        } else if (free < 0) {
          untracked++;
        } else {
          stickyInsert(bucket, free, hash, vip, server, expiry);
          fresh++;
        }
      }
      store<u32>(meta, server, META_AS);
      if (server == 0) {
        next = LB_NEXT_DROP;
        reason(node, meta, LB_COUNT_NO_SERVER);
      } else {
        next = fanout + load<u32>(record, VIP_ENCAP);
      }
    }
    store<u16>(nexts + (<usize>i << 1), <u16>next);
    if (i == 0) first = next;
    different |= next ^ first;
  }
  addCounters(lb, counted, existing, fresh, untracked, noServer);
  return different ? MIXED : <i32>first;
}

function addCounters(lb: usize, vip: u32, existing: u64, fresh: u64, untracked: u64, noServer: u64): void {
  if (vip == 0) return;
  const at: usize = <usize>load<u32>(lb, LB_COUNTERS) + (<usize>vip << VIP_COUNTERS_SHIFT);
  store<u64>(at, load<u64>(at) + existing);
  store<u64>(at, load<u64>(at, 8) + fresh, 8);
  store<u64>(at, load<u64>(at, 16) + untracked, 16);
  store<u64>(at, load<u64>(at, 24) + noServer, 24);
}
