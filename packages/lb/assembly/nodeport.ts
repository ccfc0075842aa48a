/**
 * lb-nodeport, on the arc of packets for addresses of the host: those to a node port go where the packets of per-port VIPs
 * go, with the node ports' group as their DPO; so do ICMP errors about such, and later fragments, which may be of such.
 */
import {
  arcOf,
  bufferAt,
  count as countOf,
  dataOf,
  framesOf,
  metadataOf,
  metaOf,
  nextFeature,
  nowOf,
} from '@lbd/graph/assembly/abi.ts';
import {
  FLAG_FIRST_FRAGMENT,
  FLAG_LATER_FRAGMENT,
  META_AS,
  META_DPO,
  META_FLAGS,
  META_PROTOCOL,
  MIXED,
  NODE_DATA,
} from '@lbd/graph/src/layout.ts';
import {
  LB_FLAGS,
  LB_NODE_PORTS,
  NODE_PORT_COUNT_TAKEN,
  NODE_PORT_GROUP4,
  NODE_PORT_GROUP6,
  NODE_PORT_NEXT_LB4,
  NODE_PORT_NEXT_LB6,
} from '../src/layout.ts';
import { rememberChoice } from './fragments.ts';
import { hasPorts, portsOf, vipOfPort } from './hash.ts';
import { clientPorts, isToQuotedSource, quotationOf, quotedHasPorts, quotedProtocol } from './icmp.ts';

export function lb_nodeport(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const arc = arcOf(node);
  const lb: usize = load<u32>(node, NODE_DATA);
  const some = (load<u32>(lb, LB_FLAGS) & LB_NODE_PORTS) != 0;
  let taken: u64 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const is4 = load<u8>(ip) >> 4 == 4;
    const group: u32 = is4 ? NODE_PORT_GROUP4 : NODE_PORT_GROUP6;
    let slot: u32 = nextFeature(arc, meta);
    if (some && belongs(node, lb, ip, meta, group)) {
      store<u32>(meta, group, META_DPO);
      slot = is4 ? NODE_PORT_NEXT_LB4 : NODE_PORT_NEXT_LB6;
      taken++;
    }
    store<u16>(nexts + (<usize>i << 1), slot);
  }
  countOf(node, NODE_PORT_COUNT_TAKEN, taken);
  return MIXED;
}

function belongs(node: usize, lb: usize, ip: usize, meta: usize, group: u32): bool {
  // What was sent to a server already must not come back, should the server be this host.
  if (load<u32>(meta, META_AS) != 0) return false;
  const flags: u32 = load<u16>(meta, META_FLAGS);
  if (flags & FLAG_LATER_FRAGMENT) return true;
  if (hasPorts(meta) && vipOfPort(lb, group, load<u8>(meta, META_PROTOCOL), portsOf(ip, meta) >>> 16) != 0) return true;
  const quotation = quotationOf(ip, meta);
  if (quotation != 0 && quotedHasPorts(quotation) && isToQuotedSource(ip, quotation)) {
    const port = clientPorts(ip, quotation) >>> 16;
    if (vipOfPort(lb, group, quotedProtocol(quotation), port) != 0) return true;
  }
  // The others of its datagram are the kernel's, too.
  if (flags & FLAG_FIRST_FRAGMENT) rememberChoice(lb, ip, meta, nowOf(node));
  return false;
}
