/** l3dsr: packets get the address of their server and the DSCP that tells it the VIP, and nothing else. */
import { DPO_PUNT, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { dataOf, fanoutOf, framesOf, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_DPO, META_L4, META_LENGTH, META_PROTOCOL, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { serverOf, toServer } from '@lbd/lb/assembly/encap.ts';
import {
  AS_ADDRESS4,
  AS_DPO,
  AS_VIP,
  LB_SERVERS,
  LB_VIPS,
  VIP_DSCP,
  VIP_SHIFT,
} from '@lbd/lb/src/layout.ts';
import {
  IP4_CHECKSUM,
  IP4_DESTINATION,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_BYTES,
  TCP_CHECKSUM,
  UDP_BYTES,
  UDP_CHECKSUM,
} from '@lbd/packet/src/layout.ts';
import { DATA_LB, DCCP_BYTES, PROTOCOL_DCCP, PROTOCOL_UDPLITE } from '../src/layout.ts';

/** What of the first two bytes of the header stays: version, length, and the ECN field. */
const KEPT: u32 = 0x03ff;
/** Where the DSCP is in these two bytes as loaded. */
const DSCP_SHIFT: u32 = 10;

export function l3dsr(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const vips: usize = load<u32>(lb, LB_VIPS);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = usual(vector, end, frames, metadata, servers, vips);
  for (let from = vector; from < end; at = usual(from, end, frames, metadata, servers, vips)) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    let slot: u32;
    if (at == from) {
      slot = unusual(node, meta, dataOf(frames, buffer, meta), serverOf(servers, meta), vips);
      at += 4;
    } else slot = fanoutOf(node) + (load<u32>(meta, META_DPO) >> DPO_SHIFT);
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

/** Rewrites TCP and UDP packets whose servers' DPOs are of one type; returns the place of the first that is otherwise. */
function usual(at: usize, end: usize, frames: usize, metadata: usize, servers: usize, vips: usize): usize {
  if (at == end) return at;
  const type = load<u32>(serverOf(servers, metaOf(metadata, load<u32>(at))), AS_DPO) >> DPO_SHIFT;
  if (type <= <u32>DPO_PUNT) return at;
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const server = serverOf(servers, meta);
    const dpo = load<u32>(server, AS_DPO);
    if (dpo >> DPO_SHIFT != type) break;
    const protocol: u32 = load<u8>(meta, META_PROTOCOL);
    const l4: usize = load<u16>(meta, META_L4);
    const bytes: usize = <usize>load<u16>(meta, META_LENGTH) - l4;
    if (protocol == PROTOCOL_UDP) {
      if (<isize>bytes < UDP_BYTES) break;
      patchUdp(ip + l4, readdress(ip, server, vips));
    } else if (protocol == PROTOCOL_TCP) {
      if (<isize>bytes < TCP_BYTES) break;
      patch(ip + l4 + TCP_CHECKSUM, readdress(ip, server, vips));
    } else break;
    store<u32>(meta, dpo, META_DPO);
  }
  return at;
}

/** Any other packet. Returns its next slot. */
function unusual(node: usize, meta: usize, ip: usize, server: usize, vips: usize): u32 {
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  const l4: usize = load<u16>(meta, META_L4);
  const bytes = <i32>load<u16>(meta, META_LENGTH) - <i32>l4;
  const delta = readdress(ip, server, vips);
  // Other protocols have no checksum over addresses; what is not all there, and the payload of a later fragment (whose
  // protocol is none), stays as it is.
  if (protocol == PROTOCOL_TCP) {
    if (bytes >= TCP_BYTES) patch(ip + l4 + TCP_CHECKSUM, delta);
  } else if (protocol == PROTOCOL_UDP || protocol == PROTOCOL_UDPLITE) {
    if (bytes >= UDP_BYTES) patchUdp(ip + l4, delta);
  } else if (protocol == PROTOCOL_DCCP) {
    if (bytes >= DCCP_BYTES) patch(ip + l4 + UDP_CHECKSUM, delta);
  }
  return toServer(node, meta, server, fanoutOf(node));
}

/**
 * Gives a packet the server's address and the VIP's DSCP, and the header's checksum what these add to it (RFC 1624, equation
 * 3). Returns what the address adds to the complement of the L4 checksum, folded to 16 bits.
 */
// @ts-ignore: decorator
@inline function readdress(ip: usize, server: usize, vips: usize): u32 {
  const to = load<u32>(server, AS_ADDRESS4);
  const dscp: u32 = load<u8>(vips + (<usize>load<u32>(server, AS_VIP) << VIP_SHIFT), VIP_DSCP);
  const gone = ~load<u32>(ip, IP4_DESTINATION);
  let delta = (gone & 0xffff) + (gone >>> 16) + (to & 0xffff) + (to >>> 16);
  delta = (delta & 0xffff) + (delta >>> 16);
  const before: u32 = load<u16>(ip);
  const after = (before & KEPT) | (dscp << DSCP_SHIFT);
  let sum = (~(<u32>load<u16>(ip, IP4_CHECKSUM)) & 0xffff) + (~before & 0xffff) + after + delta;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = ~(sum + (sum >>> 16));
  store<u16>(ip, after);
  store<u16>(ip, sum, IP4_CHECKSUM);
  store<u32>(ip, to, IP4_DESTINATION);
  return delta;
}

/** A checksum in place; see readdress() for `delta`. */
// @ts-ignore: decorator
@inline function patch(at: usize, delta: u32): void {
  store<u16>(at, moved(load<u16>(at), delta));
}

/** That of UDP: 0 is none and stays so, and one that computes to 0 is sent as 0xffff (RFC 768; RFC 3828 the same). */
// @ts-ignore: decorator
@inline function patchUdp(l4: usize, delta: u32): void {
  const checksum: u32 = load<u16>(l4, UDP_CHECKSUM);
  if (checksum == 0) return;
  const patched = moved(checksum, delta);
  store<u16>(l4, patched == 0 ? 0xffff : patched, UDP_CHECKSUM);
}

// @ts-ignore: decorator
@inline function moved(checksum: u32, delta: u32): u32 {
  let sum = (~checksum & 0xffff) + delta;
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~(sum + (sum >>> 16)) & 0xffff;
}
