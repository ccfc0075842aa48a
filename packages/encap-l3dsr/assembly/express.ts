/**
 * l3dsr-express: what l3dsr and ip4-rewrite do to packets whose servers are next hops, in one loop. All others are left as they
 * are to l3dsr.
 */
import { adjacencyOf } from '@lbd/fib/assembly/dpo.ts';
import { countDown4, encapsulate } from '@lbd/fib/assembly/rewrite.ts';
import { ADJACENCY_MTU, DPO_ADJACENCY4, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { dataOf, framesOf, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_L4, META_LENGTH, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { serverOf } from '@lbd/lb/assembly/encap.ts';
import { AS_DPO, LB_ADJACENCIES, LB_SERVERS, LB_VIPS } from '@lbd/lb/src/layout.ts';
import { IP4_BYTES, IP4_TTL, PROTOCOL_TCP, PROTOCOL_UDP, TCP_CHECKSUM } from '@lbd/packet/src/layout.ts';
import { DATA_LB, EXPRESS_NEXT_ORDINARY, EXPRESS_NEXT_OUTPUT } from '../src/layout.ts';
import { dscpOf, patch, patchUdp, readdress } from './l3dsr.ts';

/** META_L4 and META_PROTOCOL behind it, as loaded, without options. */
const UDP: u32 = IP4_BYTES | (PROTOCOL_UDP << 16);
const TCP: u32 = IP4_BYTES | (PROTOCOL_TCP << 16);

export function l3dsr_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  let at = send(vector, end, frames, metadata, lb);
  for (let from = vector; from < end; at = send(from, end, frames, metadata, lb)) {
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

/** Sends packets, until one comes that is not to be; returns its place. */
function send(at: usize, end: usize, frames: usize, metadata: usize, lb: usize): usize {
  const vips: usize = load<u32>(lb, LB_VIPS);
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const adjacencies: usize = load<u32>(lb, LB_ADJACENCIES);
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const server = serverOf(servers, meta);
    const dpo = load<u32>(server, AS_DPO);
    if (dpo >> DPO_SHIFT != DPO_ADJACENCY4) break;
    const adjacency = adjacencyOf(adjacencies, dpo);
    // 0 of an adjacency that can't be used
    if (<u32>load<u16>(meta, META_LENGTH) > load<u32>(adjacency, ADJACENCY_MTU)) break;
    const ttl: u32 = load<u8>(ip, IP4_TTL);
    if (ttl <= 1) break;
    const l4 = load<u32>(meta, META_L4);
    if (l4 != UDP && l4 != TCP) break;
    const delta = readdress(ip, server, dscpOf(server, vips));
    if (l4 == UDP) patchUdp(ip + IP4_BYTES, delta);
    else patch(ip + IP4_BYTES + TCP_CHECKSUM, delta);
    countDown4(ip, ttl);
    encapsulate(meta, ip, adjacency);
  }
  return at;
}
