import { bufferAt, dataOf, framesOf, metadataOf, metaOf, reason } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_DATA, META_DPO, META_LENGTH, META_OPAQUE, META_TX, NODE_DATA } from '@lbd/graph/src/layout.ts';
import {
  ETHERNET_BYTES,
  ICMP4_FRAGMENTATION_NEEDED,
  ICMP4_TIME_EXCEEDED,
  ICMP4_UNREACHABLE,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_TIME_EXCEEDED,
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
  REWRITE_INTERFACE_DOWN,
  REWRITE_TOO_BIG,
  REWRITE_TTL_EXPIRED,
} from '../src/nodes/places.ts';
import { adjacencyOf } from './dpo.ts';
import { askIcmpError } from './icmp-error.ts';
import { allNexts, setNext } from './next.ts';

const INTERFACE_OUTPUT: u32 = 0;
const DROP: u32 = 1;
const GLEAN: u32 = 2;
const ICMP_ERROR: u32 = 3;
/** ip4-rewrite alone. */
const FRAG: u32 = 4;

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
      slot = refuse4(node, meta, dataOf(frames, buffer, meta), adjacencyOf(adjacencies, load<u32>(meta, META_DPO)));
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
    } else slot = refuse6(node, meta, adjacency, hopLimit);
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

/** What becomes of a packet that can't be sent: it has run too far, its adjacency is not usable, it is too big. */
function refuse4(node: usize, meta: usize, ip: usize, adjacency: usize): u32 {
  if (load<u8>(ip, IP4_TTL) <= 1) {
    reason(node, meta, REWRITE_TTL_EXPIRED);
    askIcmpError(meta, ICMP4_TIME_EXCEEDED, 0, 0);
    return ICMP_ERROR;
  }
  const mtu = load<u32>(adjacency, ADJACENCY_MTU);
  if (!tooBig(meta, adjacency, mtu)) return unusable(node, meta, adjacency);
  if (load<u16>(ip, IP4_FRAGMENT) & bswap<u16>(<u16>IP4_DF)) {
    reason(node, meta, REWRITE_TOO_BIG);
    askIcmpError(meta, ICMP4_UNREACHABLE, ICMP4_FRAGMENTATION_NEEDED, mtu);
    return ICMP_ERROR;
  }
  store<u32>(meta, mtu, META_OPAQUE);
  return FRAG;
}

/** The same. */
function refuse6(node: usize, meta: usize, adjacency: usize, hopLimit: u32): u32 {
  if (hopLimit <= 1) {
    reason(node, meta, REWRITE_TTL_EXPIRED);
    askIcmpError(meta, ICMP6_TIME_EXCEEDED, 0, 0);
    return ICMP_ERROR;
  }
  const mtu = load<u32>(adjacency, ADJACENCY_MTU);
  if (!tooBig(meta, adjacency, mtu)) return unusable(node, meta, adjacency);
  reason(node, meta, REWRITE_TOO_BIG);
  askIcmpError(meta, ICMP6_PACKET_TOO_BIG, 0, mtu);
  return ICMP_ERROR;
}

/** True if the packet is too big for the adjacency, and nothing else is wrong: the MTU is 0 if anything else is. */
// @ts-ignore: decorator
@inline function tooBig(meta: usize, adjacency: usize, mtu: u32): bool {
  // it may have become usable just now
  return load<u32>(adjacency, ADJACENCY_FLAGS) == 0 && mtu != 0 && mtu < <u32>load<u16>(meta, META_LENGTH);
}

/** Where packets to an adjacency go that is incomplete or down. */
function unusable(node: usize, meta: usize, adjacency: usize): u32 {
  const flags = load<u32>(adjacency, ADJACENCY_FLAGS);
  if ((flags & ADJACENCY_DOWN) == 0 && flags & ADJACENCY_INCOMPLETE) return GLEAN;
  reason(node, meta, REWRITE_INTERFACE_DOWN);
  return DROP;
}
