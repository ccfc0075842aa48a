import { bufferAt, dataOf, framesOf, metadataOf, metaOf, reason } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_DATA, META_DPO, META_LENGTH, META_TX, NODE_DATA } from '@lbd/graph/src/layout.ts';
import {
  ETHERNET_BYTES,
  IP4_CHECKSUM,
  IP4_DF,
  IP4_FRAGMENT,
  IP4_TTL,
  IP6_HOP_LIMIT,
} from '@lbd/packet/src/layout.ts';
import {
  ADJACENCY_DOWN,
  ADJACENCY_FLAGS,
  ADJACENCY_INCOMPLETE,
  ADJACENCY_INTERFACE,
  ADJACENCY_MTU,
  ADJACENCY_REWRITE,
} from '../src/layout.ts';
import {
  REWRITE_FRAGMENTATION_NEEDED,
  REWRITE_INTERFACE_DOWN,
  REWRITE_TOO_BIG,
  REWRITE_TTL_EXPIRED,
} from '../src/nodes/places.ts';
import { adjacencyOf } from './dpo.ts';
import { allNexts, setNext } from './next.ts';

const INTERFACE_OUTPUT: u32 = 0;
const DROP: u32 = 1;
const GLEAN: u32 = 2;

/** Counts TTL down, puts the adjacency's Ethernet header in front. The node's data: address of adjacency 0. */
export function ip4Rewrite(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const adjacencies: usize = load<u32>(node, NODE_DATA);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = send4(vector, end, frames, metadata, adjacencies);
  for (let from = vector; from < end; at = send4(from, end, frames, metadata, adjacencies)) {
    let slot = INTERFACE_OUTPUT;
    if (at == from) {
      const buffer: usize = load<u32>(at);
      const meta = metaOf(metadata, buffer);
      const ip = dataOf(frames, buffer, meta);
      const df = (bswap<u16>(load<u16>(ip, IP4_FRAGMENT)) & IP4_DF) != 0;
      const adjacency = adjacencyOf(adjacencies, load<u32>(meta, META_DPO));
      slot = refuse(node, meta, adjacency, load<u8>(ip, IP4_TTL), df ? REWRITE_FRAGMENTATION_NEEDED : REWRITE_TOO_BIG);
      at += 4;
    }
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

/** Makes packets ready to send, until one comes that can't be sent; returns its place. */
function send4(at: usize, end: usize, frames: usize, metadata: usize, adjacencies: usize): usize {
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const adjacency = adjacencyOf(adjacencies, load<u32>(meta, META_DPO));
    const ttl: u32 = load<u8>(ip, IP4_TTL);
    if (ttl <= 1 || <u32>load<u16>(meta, META_LENGTH) > load<u32>(adjacency, ADJACENCY_MTU)) break;
    // RFC 1624 for a decrement of the TTL, the low byte of its word as loaded: the complement goes up by one
    const checksum = <u32>load<u16>(ip, IP4_CHECKSUM) + 1;
    store<u16>(ip, checksum + u32(checksum >= 0xffff), IP4_CHECKSUM);
    store<u8>(ip, ttl - 1, IP4_TTL);
    encapsulate(meta, ip, adjacency);
  }
  return at;
}

/** Counts the hop limit down, puts the adjacency's Ethernet header in front. The node's data: address of adjacency 0. */
export function ip6Rewrite(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const adjacencies: usize = load<u32>(node, NODE_DATA);
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const adjacency = adjacencyOf(adjacencies, load<u32>(meta, META_DPO));
    const hopLimit: u32 = load<u8>(ip, IP6_HOP_LIMIT);
    let slot = INTERFACE_OUTPUT;
    if (hopLimit > 1 && <u32>load<u16>(meta, META_LENGTH) <= load<u32>(adjacency, ADJACENCY_MTU)) {
      store<u8>(ip, hopLimit - 1, IP6_HOP_LIMIT);
      encapsulate(meta, ip, adjacency);
    } else slot = refuse(node, meta, adjacency, hopLimit, REWRITE_TOO_BIG);
    differ |= setNext(nexts, i, slot);
  }
  return allNexts(nexts, differ);
}

// @ts-ignore: decorator
@inline function encapsulate(meta: usize, ip: usize, adjacency: usize): void {
  // 16 bytes, the first two of which are nothing, and fall into the headroom
  v128.store(ip - 16, v128.load(adjacency, ADJACENCY_REWRITE));
  // META_DATA and META_LENGTH are halves of one word
  store<u32>(meta, load<u32>(meta, META_DATA) - ETHERNET_BYTES + (ETHERNET_BYTES << 16), META_DATA);
  store<u16>(meta, load<u32>(adjacency, ADJACENCY_INTERFACE), META_TX);
}

/** Why a packet can't be sent: its adjacency is not usable (and has an MTU of 0), it has run too far, it is too big. */
function refuse(node: usize, meta: usize, adjacency: usize, ttl: u32, tooBig: u32): u32 {
  const flags = load<u32>(adjacency, ADJACENCY_FLAGS);
  if (ttl <= 1) reason(node, meta, REWRITE_TTL_EXPIRED);
  else if (flags & ADJACENCY_DOWN) reason(node, meta, REWRITE_INTERFACE_DOWN);
  else if (flags & ADJACENCY_INCOMPLETE) return GLEAN;
  else reason(node, meta, tooBig);
  return DROP;
}
