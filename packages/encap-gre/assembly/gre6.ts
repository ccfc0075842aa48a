/** gre6: packets of either family go to their servers in GRE (RFC 2784, RFC 7676) over IPv6. */
import { DPO_PUNT, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { dataOf, fanoutOf, framesOf, metadataOf, metaOf, reason } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_DPO, META_LENGTH, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { innerTos, prepend, serverOf, toServer } from '@lbd/lb/assembly/encap.ts';
import { AS_ADDRESS, AS_DPO, LB_SERVERS, LB_SOURCE6 } from '@lbd/lb/src/layout.ts';
import { IP6_BYTES, IP6_DESTINATION, IP6_SOURCE, PROTOCOL_GRE } from '@lbd/packet/src/layout.ts';
import { DATA_COPIED, DATA_LB, GRE6_OVERHEAD, GRE_NEXT_DROP, GRE_NO_SOURCE, OUTER_TTL } from '../src/layout.ts';
import { greHeader } from './gre.ts';

export function gre6(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const copied = load<u32>(node + NODE_DATA, DATA_COPIED);
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = usual(vector, end, frames, metadata, servers, lb, copied);
  for (let from = vector; from < end; at = usual(from, end, frames, metadata, servers, lb, copied)) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    let slot: u32;
    if (at == from) {
      slot = unusual(node, meta, dataOf(frames, buffer, meta), serverOf(servers, meta), lb, copied);
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
  lb: usize,
  copied: u32,
): usize {
  const source = v128.load(lb, LB_SOURCE6);
  if (at == end || !v128.any_true(source)) return at;
  const type = load<u32>(serverOf(servers, metaOf(metadata, load<u32>(at))), AS_DPO) >> DPO_SHIFT;
  if (type <= <u32>DPO_PUNT) return at;
  if (copied != 0) return marking(at, end, frames, metadata, servers, source, copied, type);
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const server = serverOf(servers, meta);
    const dpo = load<u32>(server, AS_DPO);
    if (dpo >> DPO_SHIFT != type) break;
    encapsulate(meta, dataOf(frames, buffer, meta), server, source, 0, OUTER_TTL);
    store<u32>(meta, dpo, META_DPO);
  }
  return at;
}

/** The same with a traffic class. */
function marking(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  servers: usize,
  source: v128,
  copied: u32,
  type: u32,
): usize {
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const server = serverOf(servers, meta);
    const dpo = load<u32>(server, AS_DPO);
    if (dpo >> DPO_SHIFT != type) break;
    const ip = dataOf(frames, buffer, meta);
    encapsulate(meta, ip, server, source, innerTos(ip) & copied & 0xff, OUTER_TTL);
    store<u32>(meta, dpo, META_DPO);
  }
  return at;
}

/** A packet that can't be sent, or one alone. Returns its next slot. */
function unusual(node: usize, meta: usize, ip: usize, server: usize, lb: usize, copied: u32): u32 {
  const source = v128.load(lb, LB_SOURCE6);
  if (!v128.any_true(source)) {
    reason(node, meta, GRE_NO_SOURCE);
    return GRE_NEXT_DROP;
  }
  encapsulate(meta, ip, server, source, innerTos(ip) & copied & 0xff, OUTER_TTL);
  return toServer(node, meta, server, fanoutOf(node));
}

/** Puts the outer header and GRE in front. */
// @ts-ignore: decorator
@inline export function encapsulate(
  meta: usize,
  ip: usize,
  server: usize,
  source: v128,
  trafficClass: u32,
  hopLimit: u32,
): void {
  const payload: u32 = bswap<u16>(<u16>(<u32>load<u16>(meta, META_LENGTH) + (GRE6_OVERHEAD - IP6_BYTES)));
  // The traffic class lies across the first two bytes, behind the version; the flow label is 0.
  const first: u32 = 0x60 | (trafficClass >>> 4) | ((trafficClass & 15) << 12);
  const outer = ip - GRE6_OVERHEAD;
  const second: u32 = payload | (PROTOCOL_GRE << 16) | (hopLimit << 24);
  store<u64>(outer, <u64>first | (<u64>second << 32));
  v128.store(outer, source, IP6_SOURCE);
  v128.store(outer, v128.load(server, AS_ADDRESS), IP6_DESTINATION);
  store<u32>(outer, greHeader(ip), IP6_BYTES);
  prepend(meta, GRE6_OVERHEAD);
}
