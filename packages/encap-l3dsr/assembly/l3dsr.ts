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

/** Rewrites TCP and UDP packets of one VIP whose servers' DPOs are of one type; returns the place of the first that is otherwise. */
function usual(at: usize, end: usize, frames: usize, metadata: usize, servers: usize, vips: usize): usize {
  if (at == end) return at;
  const model = serverOf(servers, metaOf(metadata, load<u32>(at)));
  const type = load<u32>(model, AS_DPO) >> DPO_SHIFT;
  const vip = load<u32>(model, AS_VIP);
  const dscp = dscpOf(model, vips);
  if (type <= <u32>DPO_PUNT) return at;
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const server = serverOf(servers, meta);
    const dpo = load<u32>(server, AS_DPO);
    if (dpo >> DPO_SHIFT != type || load<u32>(server, AS_VIP) != vip) break;
    const protocol: u32 = load<u8>(meta, META_PROTOCOL);
    const l4: usize = load<u16>(meta, META_L4);
    const bytes: usize = <usize>load<u16>(meta, META_LENGTH) - l4;
    if (protocol == PROTOCOL_UDP) {
      if (<isize>bytes < UDP_BYTES) break;
      patchUdp(ip + l4, readdress(ip, server, dscp));
    } else if (protocol == PROTOCOL_TCP) {
      if (<isize>bytes < TCP_BYTES) break;
      patch(ip + l4 + TCP_CHECKSUM, readdress(ip, server, dscp));
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
  const delta = readdress(ip, server, dscpOf(server, vips));
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

/** DSCP of a server's VIP, where it is in the first two bytes of the header as loaded. */
// @ts-ignore: decorator
@inline export function dscpOf(server: usize, vips: usize): u32 {
  return <u32>load<u8>(vips + (<usize>load<u32>(server, AS_VIP) << VIP_SHIFT), VIP_DSCP) << DSCP_SHIFT;
}

/**
 * Gives a packet the server's address and the VIP's DSCP, and the header's checksum what these add to it (RFC 1624, equation
 * 3). Returns what the address adds to the complement of the L4 checksum, folded to 18 bits.
 */
// @ts-ignore: decorator
@inline export function readdress(ip: usize, server: usize, dscp: u32): u32 {
  const to = load<u32>(server, AS_ADDRESS4);
  const gone: u32 = ~load<u32>(ip, IP4_DESTINATION);
  const change = <u64>gone + <u64>to;
  const delta = <u32>((change & 0xffff) + (change >> 16));
  const before: u32 = load<u16>(ip);
  const after = (before & KEPT) | dscp;
  let sum = (<u32>load<u16>(ip, IP4_CHECKSUM) ^ 0xffff) + (before ^ 0xffff) + after + delta;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = ~(sum + (sum >>> 16));
  store<u16>(ip, after);
  store<u16>(ip, sum, IP4_CHECKSUM);
  store<u32>(ip, to, IP4_DESTINATION);
  return delta;
}

/** A checksum in place; see readdress() for `delta`. */
// @ts-ignore: decorator
@inline export function patch(at: usize, delta: u32): void {
  store<u16>(at, moved(load<u16>(at), delta));
}

/** That of UDP: 0 is none and stays so, and one that computes to 0 is sent as 0xffff (RFC 768; RFC 3828 the same). */
// @ts-ignore: decorator
@inline export function patchUdp(l4: usize, delta: u32): void {
  const checksum: u32 = load<u16>(l4, UDP_CHECKSUM);
  if (checksum == 0) return;
  const patched = moved(checksum, delta);
  store<u16>(l4, patched == 0 ? 0xffff : patched, UDP_CHECKSUM);
}

// @ts-ignore: decorator
@inline function moved(checksum: u32, delta: u32): u32 {
  let sum = (checksum ^ 0xffff) + delta;
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~(sum + (sum >>> 16)) & 0xffff;
}
