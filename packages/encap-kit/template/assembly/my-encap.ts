/** The loop over a vector: packets of either family go to their servers behind an IPv4 header. */
import { dataOf, bufferAt, fanoutOf, framesOf, metadataOf, metaOf, reason } from '@lbd/graph/assembly/abi.ts';
import { META_LENGTH, MIXED, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { innerTos, prepend, serverOf, toServer } from '@lbd/lb/assembly/encap.ts';
import { AS_ADDRESS4, LB_SERVERS, LB_SOURCE4 } from '@lbd/lb/src/layout.ts';
import { fold } from '@lbd/packet/assembly/checksum.ts';
import {
  IP4_CHECKSUM,
  IP4_DESTINATION,
  IP4_FRAGMENT,
  IP4_ID,
  IP4_LENGTH,
  IP4_PROTOCOL,
  IP4_SOURCE,
  IP4_TTL,
  PROTOCOL_IP4,
  PROTOCOL_IP6,
} from '@lbd/packet/src/layout.ts';
import { DATA_LB, NEXT_DROP, NO_SOURCE, OVERHEAD } from '../src/layout.ts';

const TTL: u32 = 64;

export function my_encap(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const fanout = fanoutOf(node);
  const lb: usize = load<u32>(node + NODE_DATA, DATA_LB);
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const source = load<u32>(lb, LB_SOURCE4);
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    let slot: u32 = NEXT_DROP;
    if (source == 0) reason(node, meta, NO_SOURCE);
    else {
      const server = serverOf(servers, meta);
      encapsulate(meta, dataOf(frames, buffer, meta), source, load<u32>(server, AS_ADDRESS4));
      slot = toServer(node, meta, server, fanout);
    }
    store<u16>(nexts + (<usize>i << 1), <u16>slot);
  }
  return MIXED;
}

/** Puts the outer header in front. It has no options, no id, and may be fragmented; DSCP and ECN are those inside. */
function encapsulate(meta: usize, inner: usize, source: u32, destination: u32): void {
  const outer = inner - OVERHEAD;
  const length = <u16>(<u32>load<u16>(meta, META_LENGTH) + OVERHEAD);
  store<u16>(outer, <u16>(0x45 | ((innerTos(inner) & 0xff) << 8)));
  store<u16>(outer, bswap<u16>(length), IP4_LENGTH);
  store<u16>(outer, 0, IP4_ID);
  store<u16>(outer, 0, IP4_FRAGMENT);
  store<u8>(outer, <u8>TTL, IP4_TTL);
  store<u8>(outer, <u8>(load<u8>(inner) >> 4 == 6 ? PROTOCOL_IP6 : PROTOCOL_IP4), IP4_PROTOCOL);
  store<u16>(outer, 0, IP4_CHECKSUM);
  store<u32>(outer, source, IP4_SOURCE);
  store<u32>(outer, destination, IP4_DESTINATION);
  // A ones' complement sum does not depend on byte order (RFC 1071): whole words as they lie in the memory.
  let sum: u64 = 0;
  for (let at: usize = 0; at < <usize>OVERHEAD; at += 4) sum += <u64>load<u32>(outer + at);
  store<u16>(outer, <u16>~fold(sum), IP4_CHECKSUM);
  prepend(meta, OVERHEAD);
}
