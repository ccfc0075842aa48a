/**
 * gre4-express and gre6-express: what gre4 or gre6, and ip4-rewrite or ip6-rewrite do to packets whose servers are next hops, in
 * one loop. All others are left as they are to gre4 or gre6.
 */
import { adjacencyOf } from '@lbd/fib/assembly/dpo.ts';
import { encapsulate as rewrite, encapsulateAt } from '@lbd/fib/assembly/rewrite.ts';
import { ADJACENCY_MTU, DPO_ADJACENCY4, DPO_ADJACENCY6, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { dataOf, framesOf, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { FRAME_SHIFT, META_DATA, META_LENGTH, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { innerTos, serverOf } from '@lbd/lb/assembly/encap.ts';
import { AS_ADDRESS4, AS_DPO, LB_ADJACENCIES, LB_SERVERS, LB_SOURCE4, LB_SOURCE6 } from '@lbd/lb/src/layout.ts';
import { ETHERNET_BYTES } from '@lbd/packet/src/layout.ts';
import {
  DATA_COPIED,
  DATA_LB,
  EXPRESS_NEXT_ORDINARY,
  EXPRESS_NEXT_OUTPUT,
  GRE4_OVERHEAD,
  GRE6_OVERHEAD,
  OUTER_TTL,
} from '../src/layout.ts';
import { fixedSum, flagsOf, tosOf, writeOuter4 } from './gre4.ts';
import { encapsulate as encapsulate6 } from './gre6.ts';

/** Of the outer header as it leaves: counted down once. */
const SENT_TTL: u32 = OUTER_TTL - 1;

export function gre4_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return express(false, node, vector, count, nexts);
}
export function gre6_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return express(true, node, vector, count, nexts);
}

// @ts-ignore: decorator
@inline function express(six: bool, node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const end = vector + (<usize>count << 2);
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const copied = load<u32>(node + NODE_DATA, DATA_COPIED);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = send(six, vector, end, node, lb, copied);
  for (let from = vector; from < end; at = send(six, from, end, node, lb, copied)) {
    let slot: u32 = EXPRESS_NEXT_OUTPUT;
    if (at == from) {
      slot = EXPRESS_NEXT_ORDINARY;
      at += 4;
    }
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

// @ts-ignore: decorator
@inline function send(six: bool, at: usize, end: usize, node: usize, lb: usize, copied: u32): usize {
  if (six) return send6(at, end, framesOf(node), metadataOf(node), lb, copied);
  return send4(at, end, framesOf(node), metadataOf(node), lb, copied);
}

/** Sends packets, until one comes that is not to be; returns its place. */
function send4(at: usize, end: usize, frames: usize, metadata: usize, lb: usize, copied: u32): usize {
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const adjacencies: usize = load<u32>(lb, LB_ADJACENCIES);
  const source = load<u32>(lb, LB_SOURCE4);
  const fixed = fixedSum(source, SENT_TTL);
  if (source == 0) return at;
  if (copied == 0) return plain4(at, end, frames, metadata, servers, adjacencies, source, fixed);
  return marking4(at, end, frames, metadata, servers, adjacencies, source, fixed, copied);
}
function plain4(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  servers: usize,
  adjacencies: usize,
  source: u32,
  fixed: u32,
): usize {
  return loop4(at, end, frames, metadata, servers, adjacencies, source, fixed, 0);
}
function marking4(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  servers: usize,
  adjacencies: usize,
  source: u32,
  fixed: u32,
  copied: u32,
): usize {
  return loop4(at, end, frames, metadata, servers, adjacencies, source, fixed, copied);
}

// @ts-ignore: decorator
@inline function loop4(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  servers: usize,
  adjacencies: usize,
  source: u32,
  fixed: u32,
  copied: u32,
): usize {
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const server = serverOf(servers, meta);
    const dpo = load<u32>(server, AS_DPO);
    if (dpo >> DPO_SHIFT != DPO_ADJACENCY4) break;
    const adjacency = adjacencyOf(adjacencies, dpo);
    const place = load<u32>(meta, META_DATA);
    const length = place >>> 16;
    // 0 of an adjacency that can't be used
    if (length + GRE4_OVERHEAD > load<u32>(adjacency, ADJACENCY_MTU)) break;
    const ip = frames + (buffer << FRAME_SHIFT) + <usize>(place & 0xffff);
    const tos: u32 = copied == 0 ? 0 : tosOf(ip, copied);
    const flags: u32 = copied == 0 ? 0 : flagsOf(ip, copied);
    writeOuter4(ip, length, load<u32>(server, AS_ADDRESS4), source, fixed, tos, flags, SENT_TTL);
    const sent = place + ((GRE4_OVERHEAD + ETHERNET_BYTES) << 16) - (GRE4_OVERHEAD + ETHERNET_BYTES);
    encapsulateAt(meta, ip - GRE4_OVERHEAD, sent, adjacency);
  }
  return at;
}

/** The same over IPv6. */
function send6(at: usize, end: usize, frames: usize, metadata: usize, lb: usize, copied: u32): usize {
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const adjacencies: usize = load<u32>(lb, LB_ADJACENCIES);
  const source = v128.load(lb, LB_SOURCE6);
  if (!v128.any_true(source)) return at;
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const server = serverOf(servers, meta);
    const dpo = load<u32>(server, AS_DPO);
    if (dpo >> DPO_SHIFT != DPO_ADJACENCY6) break;
    const adjacency = adjacencyOf(adjacencies, dpo);
    if (<u32>load<u16>(meta, META_LENGTH) + GRE6_OVERHEAD > load<u32>(adjacency, ADJACENCY_MTU)) break;
    const ip = dataOf(frames, buffer, meta);
    encapsulate6(meta, ip, server, source, copied == 0 ? 0 : innerTos(ip) & copied & 0xff, SENT_TTL);
    rewrite(meta, ip - GRE6_OVERHEAD, adjacency);
  }
  return at;
}
