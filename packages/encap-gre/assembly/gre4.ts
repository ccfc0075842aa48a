/** gre4: packets of either family go to their servers in GRE (RFC 2784) over IPv4. */
import { DPO_PUNT, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { dataOf, fanoutOf, framesOf, metadataOf, metaOf, reason } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_DPO, META_LENGTH, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { innerTos, prepend, serverOf, toServer } from '@lbd/lb/assembly/encap.ts';
import { AS_ADDRESS4, AS_DPO, LB_SERVERS, LB_SOURCE4 } from '@lbd/lb/src/layout.ts';
import { IP4_DF, IP4_FRAGMENT, PROTOCOL_GRE } from '@lbd/packet/src/layout.ts';
import { COPY_DF, DATA_COPIED, DATA_LB, GRE4_OVERHEAD, GRE_NEXT_DROP, GRE_NO_SOURCE, OUTER_TTL } from '../src/layout.ts';
import { greHeader } from './gre.ts';

/** Don't fragment, as a little-endian word. */
const DF: u32 = IP4_DF >> 8;

export function gre4(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const copied = load<u32>(node + NODE_DATA, DATA_COPIED);
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const source = load<u32>(lb, LB_SOURCE4);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = usual(vector, end, frames, metadata, servers, source, copied);
  for (let from = vector; from < end; at = usual(from, end, frames, metadata, servers, source, copied)) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    let slot: u32;
    if (at == from) {
      const ip = dataOf(frames, buffer, meta);
      slot = unusual(node, meta, ip, serverOf(servers, meta), source, copied);
      at += 4;
    } else slot = fanoutOf(node) + (load<u32>(meta, META_DPO) >> DPO_SHIFT);
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

/** Encapsulates packets whose servers' DPOs are of one type; returns the place of the first that is none of them. */
function usual(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  servers: usize,
  source: u32,
  copied: u32,
): usize {
  if (at == end || source == 0) return at;
  const type = load<u32>(serverOf(servers, metaOf(metadata, load<u32>(at))), AS_DPO) >> DPO_SHIFT;
  if (type <= <u32>DPO_PUNT) return at;
  const fixed = fixedSum(source, OUTER_TTL);
  if (copied != 0) return marking(at, end, frames, metadata, servers, source, copied, fixed, type);
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const server = serverOf(servers, meta);
    const dpo = load<u32>(server, AS_DPO);
    if (dpo >> DPO_SHIFT != type) break;
    encapsulate(meta, dataOf(frames, buffer, meta), load<u32>(server, AS_ADDRESS4), source, fixed, 0, 0, OUTER_TTL);
    store<u32>(meta, dpo, META_DPO);
  }
  return at;
}

/** The same with a TOS, or DF. */
function marking(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  servers: usize,
  source: u32,
  copied: u32,
  fixed: u32,
  type: u32,
): usize {
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const server = serverOf(servers, meta);
    const dpo = load<u32>(server, AS_DPO);
    if (dpo >> DPO_SHIFT != type) break;
    const ip = dataOf(frames, buffer, meta);
    const to = load<u32>(server, AS_ADDRESS4);
    encapsulate(meta, ip, to, source, fixed, tosOf(ip, copied), flagsOf(ip, copied), OUTER_TTL);
    store<u32>(meta, dpo, META_DPO);
  }
  return at;
}

/** A packet that can't be sent, or one alone. Returns its next slot. */
function unusual(node: usize, meta: usize, ip: usize, server: usize, source: u32, copied: u32): u32 {
  if (source == 0) {
    reason(node, meta, GRE_NO_SOURCE);
    return GRE_NEXT_DROP;
  }
  const to = load<u32>(server, AS_ADDRESS4);
  const fixed = fixedSum(source, OUTER_TTL);
  encapsulate(meta, ip, to, source, fixed, tosOf(ip, copied), flagsOf(ip, copied), OUTER_TTL);
  return toServer(node, meta, server, fanoutOf(node));
}

/** Sum of the outer header's words that are the same in all packets: version, length of the header, TTL, protocol, source. */
// @ts-ignore: decorator
@inline export function fixedSum(source: u32, ttl: u32): u32 {
  return 0x45 + (ttl | (PROTOCOL_GRE << 8)) + (source & 0xffff) + (source >>> 16);
}

// @ts-ignore: decorator
@inline export function tosOf(ip: usize, copied: u32): u32 {
  return innerTos(ip) & copied & 0xff;
}

/** Flags and fragment offset of the outer header, as they are stored. */
// @ts-ignore: decorator
@inline export function flagsOf(ip: usize, copied: u32): u32 {
  if ((copied & COPY_DF) == 0) return 0;
  return (load<u8>(ip) & 0x20) != 0 ? DF : load<u16>(ip, IP4_FRAGMENT) & DF;
}

/** Puts the outer header, without options and id, and GRE in front. */
// @ts-ignore: decorator
@inline function encapsulate(
  meta: usize,
  ip: usize,
  to: u32,
  source: u32,
  fixed: u32,
  tos: u32,
  flags: u32,
  ttl: u32,
): void {
  writeOuter4(ip, load<u16>(meta, META_LENGTH), to, source, fixed, tos, flags, ttl);
  prepend(meta, GRE4_OVERHEAD);
}
/** Writes them before `ip`, a packet of `length` bytes. */
// @ts-ignore: decorator
@inline export function writeOuter4(
  ip: usize,
  length: u32,
  to: u32,
  source: u32,
  fixed: u32,
  tos: u32,
  flags: u32,
  ttl: u32,
): void {
  const total: u32 = bswap<u16>(<u16>(length + GRE4_OVERHEAD));
  const outer = ip - GRE4_OVERHEAD;
  store<u32>(outer, 0x45 | (tos << 8) | (total << 16));
  store<u32>(outer, flags << 16, 4);
  const sum = fixed + (tos << 8) + total + flags + (to & 0xffff) + (to >>> 16);
  const half = (sum & 0xffff) + (sum >>> 16);
  store<u32>(outer, ttl | (PROTOCOL_GRE << 8) | (~(half + (half >>> 16)) << 16), 8);
  store<u32>(outer, source, 12);
  store<u32>(outer, to, 16);
  store<u32>(outer, greHeader(ip), 20);
}
