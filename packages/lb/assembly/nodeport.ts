/**
 * lb-nodeport, on the arc of packets for addresses of the host: those to a node port go where the packets of per-port VIPs
 * go, with the node ports' group as their DPO.
 */
import { hash8, search8 } from '@lbd/bihash/assembly/bihash8.ts';
import { arcOf, bufferAt, count as countOf, dataOf, framesOf, metadataOf, metaOf, nextFeature } from '@lbd/graph/assembly/abi.ts';
import { MIXED, META_DPO, META_L4, META_LENGTH, META_PROTOCOL, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { PROTOCOL_TCP, PROTOCOL_UDP, TCP_DESTINATION_PORT } from '@lbd/packet/src/layout.ts';
import {
  LB_PORTS,
  NODE_PORT_COUNT_TAKEN,
  NODE_PORT_GROUP4,
  NODE_PORT_GROUP6,
  NODE_PORT_NEXT_LB4,
  NODE_PORT_NEXT_LB6,
} from '../src/layout.ts';
import { keyOfPort } from './port-key.ts';

export function lb_nodeport(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const arc = arcOf(node);
  const lb: usize = load<u32>(node, NODE_DATA);
  let taken: u64 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const is4 = load<u8>(ip) >> 4 == 4;
    const group: u32 = is4 ? NODE_PORT_GROUP4 : NODE_PORT_GROUP6;
    let slot: u32 = nextFeature(arc, meta);
    if (belongs(lb, meta, ip, group)) {
      store<u32>(meta, group, META_DPO);
      slot = is4 ? NODE_PORT_NEXT_LB4 : NODE_PORT_NEXT_LB6;
      taken++;
    }
    store<u16>(nexts + (<usize>i << 1), slot);
  }
  countOf(node, NODE_PORT_COUNT_TAKEN, taken);
  return MIXED;
}

function belongs(lb: usize, meta: usize, ip: usize, group: u32): bool {
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  const l4: u32 = load<u16>(meta, META_L4);
  if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) return false;
  if (l4 + 4 > <u32>load<u16>(meta, META_LENGTH)) return false;
  return vipOfPort(lb, group, protocol, load<u16>(ip + <usize>l4, TCP_DESTINATION_PORT)) != 0;
}

/** The VIP of a group that has a protocol and port (as loaded from the packet); 0 if there is none. */
export function vipOfPort(lb: usize, group: u32, protocol: u32, port: u32): u32 {
  const key = keyOfPort(group, protocol, port);
  const value = search8(load<u32>(lb, LB_PORTS), hash8(key), key);
  return value == <u64>-1 ? 0 : <u32>value;
}
