/** ipip6: packets of either family go to their servers behind an IPv6 header. */
import { dataOf, bufferAt, fanoutOf, framesOf, metadataOf, metaOf, reason } from '@lbd/graph/assembly/abi.ts';
import { META_LENGTH, MIXED, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { prepend, serverOf, toServer } from '@lbd/lb/assembly/encap.ts';
import { AS_ADDRESS, LB_SERVERS, LB_SOURCE6 } from '@lbd/lb/src/layout.ts';
import { IP6_DESTINATION, IP6_HOP_LIMIT, IP6_LENGTH, IP6_NEXT_HEADER, IP6_SOURCE } from '@lbd/packet/src/layout.ts';
import { DATA_LB, DATA_TTL, IPIP6_OVERHEAD, NEXT_DROP, NO_SOURCE } from '../src/layout.ts';
import { protocolOf, tosOf } from './inner.ts';

export function ipip6(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const fanout = fanoutOf(node);
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const ttl = load<u32>(node + NODE_DATA, DATA_TTL);
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const source = v128.load(lb, LB_SOURCE6);
  const ready = v128.any_true(source);
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    let slot: u32 = NEXT_DROP;
    if (!ready) reason(node, meta, NO_SOURCE);
    else {
      const server = serverOf(servers, meta);
      encapsulate(meta, dataOf(frames, buffer, meta), source, v128.load(server, AS_ADDRESS), ttl);
      slot = toServer(node, meta, server, fanout);
    }
    store<u16>(nexts + (<usize>i << 1), <u16>slot);
  }
  return MIXED;
}

/** Puts the outer header in front; its flow label is 0. */
function encapsulate(meta: usize, inner: usize, source: v128, destination: v128, ttl: u32): void {
  const outer = inner - IPIP6_OVERHEAD;
  // Version, traffic class and flow label are 4, 8 and 20 bits, so that the class lies across the first two bytes.
  store<u32>(outer, bswap<u32>(0x60000000 | (tosOf(inner) << 20)));
  store<u16>(outer, bswap<u16>(load<u16>(meta, META_LENGTH)), IP6_LENGTH);
  store<u8>(outer, <u8>protocolOf(inner), IP6_NEXT_HEADER);
  store<u8>(outer, <u8>ttl, IP6_HOP_LIMIT);
  v128.store(outer, source, IP6_SOURCE);
  v128.store(outer, destination, IP6_DESTINATION);
  prepend(meta, IPIP6_OVERHEAD);
}
