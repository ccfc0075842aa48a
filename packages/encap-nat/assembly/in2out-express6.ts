/** Which packets of a vector are usual replies over IPv6, for in2out-express.ts. */
import { adjacencyOf } from '@lbd/fib/assembly/dpo.ts';
import { fib6Lookup, fib6LookupNext } from '@lbd/fib/assembly/fib6.ts';
import { goodSource6 } from '@lbd/fib/assembly/ip6.ts';
import { DPO_ADJACENCY6, DPO_SHIFT, FIB6_LAST_AT } from '@lbd/fib/src/layout.ts';
import { dataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { FRAME_SHIFT, META_RX } from '@lbd/graph/src/layout.ts';
import { modelEthernet } from '@lbd/lb/assembly/express-model.ts';
import { MODEL_ETHERNET, MODEL_ETHERNET_MASK } from '@lbd/lb/src/express-layout.ts';
import {
  ETHERNET_BYTES,
  ETHERNET_TYPE,
  IP6_BYTES,
  IP6_DESTINATION,
  IP6_SOURCE,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_BYTES,
  UDP_BYTES,
} from '@lbd/packet/src/layout.ts';
import * as E from '../src/express-layout.ts';
import { hintBucket } from './hints.ts';
import { replyHash } from './reply-hash.ts';

/** EtherType of IPv6 as loaded, little-endian; behind it the version. */
const TYPE_IP6: u32 = 0xdd86;
const VERSION: u32 = 0x600000;
const VERSION_MASK: u32 = 0xf00000;

/** True if the packet is IPv6, to a destination behind a next hop. */
export function isForNextHop6(frames: usize, buffer: usize, meta: usize, fib: usize): bool {
  const ethernet = dataOf(frames, buffer, meta);
  if (<u32>load<u16>(ethernet, ETHERNET_TYPE) != TYPE_IP6) return false;
  return fib6Lookup(fib, ethernet + ETHERNET_BYTES + IP6_DESTINATION) >> DPO_SHIFT == DPO_ADJACENCY6;
}

/** Writes what usual packets of an interface have in common. */
export function modelRun6(node: usize, data: usize, rx: u32): void {
  const model = data + E.REPLY_MODEL;
  modelEthernet(node, model, rx, TYPE_IP6 | VERSION, 0xffff | VERSION_MASK);
  store<u32>(model, rx, E.MODEL_RX);
}

/** As checkRun4(), one packet at a time: there is no header checksum. */
export function checkRun6(at: usize, end: usize, frames: usize, metadata: usize, data: usize, hints: usize, mask: u32): usize {
  const model = data + E.REPLY_MODEL;
  const ethernetModel = v128.load(model, MODEL_ETHERNET);
  const ethernetMask = v128.load(model, MODEL_ETHERNET_MASK);
  const rx = load<u32>(model, E.MODEL_RX);
  for (let words = data + at; at < end; at += 4, words += 4) {
    const buffer: usize = load<u32>(words, E.REPLY_BUFFERS);
    const meta = metaOf(metadata, buffer);
    // META_DATA and META_LENGTH
    const place = load<u32>(meta);
    if (load<u32>(meta, META_RX) != rx) break;
    const ethernet = frames + (buffer << FRAME_SHIFT) + <usize>(place & 0xffff);
    const ip = ethernet + ETHERNET_BYTES;
    // length, next header and hop limit
    const head = load<u32>(ip, 4);
    const protocol = (head >>> 16) & 0xff;
    const framed = <u32>bswap<u16>(<u16>head) + (IP6_BYTES + ETHERNET_BYTES);
    const otherFrame = v128.and(v128.xor(v128.load(ethernet), ethernetModel), ethernetMask);
    let least: u32 = IP6_BYTES + ETHERNET_BYTES + UDP_BYTES;
    let usual: u32 = 0xffffffff;
    if (protocol != PROTOCOL_UDP) {
      least = IP6_BYTES + ETHERNET_BYTES + TCP_BYTES;
      if (protocol != PROTOCOL_TCP) usual = 0;
    }
    if (framed < least || framed > place >>> 16) usual = 0;
    if (head >>> 24 <= 1 || v128.any_true(otherFrame) || !goodSource6(ip + IP6_SOURCE)) usual = 0;
    store<u32>(words, <u32>ethernet, E.REPLY_FRAMES);
    store<u32>(words, usual, E.REPLY_USUAL);
    store<u32>(words, (place & 0xffff) | (framed << 16), E.REPLY_PLACES);
    const hash = replyHash(true, ip + IP6_SOURCE, ip + IP6_DESTINATION, load<u32>(ip, IP6_BYTES), protocol);
    store<u32>(words, hash, E.REPLY_HASHES);
    store<u32>(words, <u32>hintBucket(hints, mask, hash), E.REPLY_FOUND);
  }
  return at;
}

/** As resolve4(). */
export function resolve6(data: usize, end: usize, fib: usize, adjacencies: usize): u32 {
  const prefix = data + E.REPLY_PREFIX;
  let some: u32 = 0;
  store<u32>(prefix, 0, FIB6_LAST_AT);
  for (let words = data, last = data + end; words < last; words += 4) {
    let usual = load<u32>(words, E.REPLY_USUAL);
    if (usual == 0) continue;
    const to = <usize>load<u32>(words, E.REPLY_FRAMES) + ETHERNET_BYTES + IP6_DESTINATION;
    const dpo = fib6LookupNext(fib, to, prefix);
    if (dpo >> DPO_SHIFT != DPO_ADJACENCY6) usual = 0;
    store<u32>(words, <u32>adjacencyOf(adjacencies, dpo), E.REPLY_ADJACENCIES);
    store<u32>(words, usual, E.REPLY_USUAL);
    some |= usual;
  }
  return some;
}
