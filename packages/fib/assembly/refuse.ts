/** What becomes of packets that ip4-rewrite and ip6-rewrite can't send. */
import { reason } from '@lbd/graph/assembly/abi.ts';
import { META_LENGTH, META_OPAQUE } from '@lbd/graph/src/layout.ts';
import {
  ICMP4_FRAGMENTATION_NEEDED,
  ICMP4_TIME_EXCEEDED,
  ICMP4_UNREACHABLE,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_TIME_EXCEEDED,
  IP4_DF,
  IP4_FRAGMENT,
  IP4_TTL,
  IP6_HOP_LIMIT,
} from '@lbd/packet/src/layout.ts';
import { ADJACENCY_DOWN, ADJACENCY_FLAGS, ADJACENCY_INCOMPLETE, ADJACENCY_MTU } from '../src/layout.ts';
import { REWRITE_INTERFACE_DOWN, REWRITE_TOO_BIG, REWRITE_TTL_EXPIRED } from '../src/nodes/places.ts';
import { askIcmpError } from './icmp-error.ts';

// Places of the rewrite nodes' next nodes.
// @ts-ignore: decorator
@inline export const INTERFACE_OUTPUT: u32 = 0;
const DROP: u32 = 1;
const GLEAN: u32 = 2;
const ICMP_ERROR: u32 = 3;
/** ip4-rewrite alone. */
const FRAG: u32 = 4;

/** Next slot of an IPv4 packet that can't be sent: it has run too far, its adjacency is not usable, it is too big. */
export function refuse4(node: usize, meta: usize, ip: usize, adjacency: usize): u32 {
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

/** The same for IPv6. */
export function refuse6(node: usize, meta: usize, ip: usize, adjacency: usize): u32 {
  if (load<u8>(ip, IP6_HOP_LIMIT) <= 1) {
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
