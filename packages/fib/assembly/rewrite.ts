import { dataOf, framesOf, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { FLAG_MADE, META_DATA, META_DPO, META_FLAGS, META_LENGTH, META_TX, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { ETHERNET_BYTES, IP4_CHECKSUM, IP4_TTL, IP6_HOP_LIMIT } from '@lbd/packet/src/layout.ts';
import { ADJACENCY_INTERFACE, ADJACENCY_MTU, ADJACENCY_REWRITE } from '../src/layout.ts';
import { adjacencyOf } from './dpo.ts';
import { INTERFACE_OUTPUT, refuse4, refuse6 } from './refuse.ts';

/** Counts TTL down, puts the adjacency's Ethernet header in front. The node's data: address of adjacency 0. */
export function ip4Rewrite(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return rewrite(node, vector, count, nexts, 4);
}
/** The same for IPv6 and its hop limit. */
export function ip6Rewrite(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return rewrite(node, vector, count, nexts, 6);
}

// @ts-ignore: decorator
@inline function rewrite(node: usize, vector: usize, count: i32, nexts: usize, family: u32): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const adjacencies: usize = load<u32>(node, NODE_DATA);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = send(vector, end, frames, metadata, adjacencies, family);
  for (let from = vector; from < end; at = send(from, end, frames, metadata, adjacencies, family)) {
    let slot = INTERFACE_OUTPUT;
    if (at == from) {
      const buffer: usize = load<u32>(at);
      const meta = metaOf(metadata, buffer);
      const ip = dataOf(frames, buffer, meta);
      const adjacency = adjacencyOf(adjacencies, load<u32>(meta, META_DPO));
      if (!sendMade(meta, ip, adjacency)) {
        slot = family == 4 ? refuse4(node, meta, ip, adjacency) : refuse6(node, meta, ip, adjacency);
      }
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
// @ts-ignore: decorator
@inline function send(at: usize, end: usize, frames: usize, metadata: usize, adjacencies: usize, family: u32): usize {
  return family == 4 ? send4(at, end, frames, metadata, adjacencies) : send6(at, end, frames, metadata, adjacencies);
}

function send4(at: usize, end: usize, frames: usize, metadata: usize, adjacencies: usize): usize {
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const adjacency = adjacencyOf(adjacencies, load<u32>(meta, META_DPO));
    if (load<u16>(meta, META_FLAGS) & FLAG_MADE) break;
    const ttl: u32 = load<u8>(ip, IP4_TTL);
    if (ttl <= 1 || <u32>load<u16>(meta, META_LENGTH) > load<u32>(adjacency, ADJACENCY_MTU)) break;
    countDown4(ip, ttl);
    encapsulate(meta, ip, adjacency);
  }
  return at;
}

function send6(at: usize, end: usize, frames: usize, metadata: usize, adjacencies: usize): usize {
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const adjacency = adjacencyOf(adjacencies, load<u32>(meta, META_DPO));
    if (load<u16>(meta, META_FLAGS) & FLAG_MADE) break;
    const hopLimit: u32 = load<u8>(ip, IP6_HOP_LIMIT);
    if (hopLimit <= 1 || <u32>load<u16>(meta, META_LENGTH) > load<u32>(adjacency, ADJACENCY_MTU)) break;
    countDown6(ip, hopLimit);
    encapsulate(meta, ip, adjacency);
  }
  return at;
}

/** Sends a packet that lbd made itself, as it is: it has run through no router yet. False if it is none, or is too big. */
function sendMade(meta: usize, ip: usize, adjacency: usize): bool {
  const flags = load<u16>(meta, META_FLAGS);
  if ((flags & FLAG_MADE) == 0 || <u32>load<u16>(meta, META_LENGTH) > load<u32>(adjacency, ADJACENCY_MTU)) return false;
  store<u16>(meta, flags & ~FLAG_MADE, META_FLAGS);
  encapsulate(meta, ip, adjacency);
  return true;
}

/** Counts the TTL down from what it is. */
// @ts-ignore: decorator
@inline export function countDown4(ip: usize, ttl: u32): void {
  // RFC 1624 for a decrement of the TTL, the low byte of its word as loaded: the complement goes up by one
  const checksum = <u32>load<u16>(ip, IP4_CHECKSUM) + 1;
  store<u16>(ip, checksum + u32(checksum >= 0xffff), IP4_CHECKSUM);
  store<u8>(ip, ttl - 1, IP4_TTL);
}
/** The same for a hop limit. */
// @ts-ignore: decorator
@inline export function countDown6(ip: usize, hopLimit: u32): void {
  store<u8>(ip, hopLimit - 1, IP6_HOP_LIMIT);
}
/** Puts the adjacency's Ethernet header in front; says where the packet leaves. */
// @ts-ignore: decorator
@inline export function encapsulate(meta: usize, ip: usize, adjacency: usize): void {
  // META_DATA and META_LENGTH are halves of one word
  encapsulateAt(meta, ip, load<u32>(meta, META_DATA) - ETHERNET_BYTES + (ETHERNET_BYTES << 16), adjacency);
}
/** The same, where META_DATA and META_LENGTH are known as they are to be. */
// @ts-ignore: decorator
@inline export function encapsulateAt(meta: usize, ip: usize, place: u32, adjacency: usize): void {
  // 16 bytes, the first two of which are nothing, and fall into the headroom
  v128.store(ip - 16, v128.load(adjacency, ADJACENCY_REWRITE));
  store<u32>(meta, place, META_DATA);
  store<u16>(meta, load<u32>(adjacency, ADJACENCY_INTERFACE), META_TX);
}
