/** Runs of usual packets to one IPv6 VIP, for express.ts. Without a header checksum, one packet at a time is enough. */
import { fib6Lookup } from '@lbd/fib/assembly/fib6.ts';
import { goodSource6 } from '@lbd/fib/assembly/ip6.ts';
import { DPO_INDEX_MASK, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { dataOf, featureBit, featuresOf, framesOf, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { FRAME_SHIFT, MAX_INTERFACES, META_RX } from '@lbd/graph/src/layout.ts';
import {
  ETHERNET_BYTES,
  ETHERNET_TYPE,
  IP6_BYTES,
  IP6_DESTINATION,
  IP6_NEXT_HEADER,
  IP6_SOURCE,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_BYTES,
  UDP_BYTES,
} from '@lbd/packet/src/layout.ts';
import { stickyHash6, stickyHigh, stickyKey, stickyLow, stickySeed6 } from '@lbd/sticky/assembly/hash.ts';
import * as E from '../src/express-layout.ts';
import { LB_SECRET, VIP_MAX_LENGTH, VIP_MIN_TTL } from '../src/layout.ts';
import { TYPE_IP6, VERSION6, VERSION6_MASK, hasOthers, modelEthernet } from './express-model.ts';
import { isBySource, vipOfPort, vipRecord } from './hash.ts';

/** As startRun4(). */
export function startRun6(node: usize, data: usize, lb: usize, at: usize, run: usize): u32 {
  const buffer: usize = load<u32>(at);
  const meta = metaOf(metadataOf(node), buffer);
  const ethernet = dataOf(framesOf(node), buffer, meta);
  const rx = load<u32>(meta, META_RX);
  if (rx >= <u32>MAX_INTERFACES) return 0;
  const features = featuresOf(node, rx);
  if (hasOthers(node, features)) return 0;
  if (<u32>load<u16>(ethernet, ETHERNET_TYPE) != TYPE_IP6) return 0;
  const ip = ethernet + ETHERNET_BYTES;
  const protocol: u32 = load<u8>(ip, IP6_NEXT_HEADER);
  if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) return 0;
  const dpo = fib6Lookup(load<u32>(data, E.EXPRESS_FIB), ip + IP6_DESTINATION);
  const perPort = dpo >> DPO_SHIFT == load<u32>(data, E.EXPRESS_PER_PORT);
  if (!perPort && dpo >> DPO_SHIFT != load<u32>(data, E.EXPRESS_ALL_PORTS)) return 0;
  const ports = load<u32>(ip, IP6_BYTES);
  const vip = perPort ? vipOfPort(lb, dpo & DPO_INDEX_MASK, protocol, ports >>> 16) : dpo & DPO_INDEX_MASK;
  if (vip == 0) return 0;
  const record = vipRecord(lb, vip);
  const least = <u32>IP6_BYTES + (protocol == PROTOCOL_TCP ? TCP_BYTES : UDP_BYTES);
  const most: u32 = load<u16>(record, VIP_MAX_LENGTH);
  if (most < least) return 0;
  store<u32>(run, vip, E.RUN_VIP);
  store<u32>(run, dpo, E.RUN_DPO);
  store<u32>(run, features & featureBit(node, E.STANDS_FOR_CHECKSUM), E.RUN_COMPLETES);
  store<u32>(run, IP6_BYTES | (protocol << 16), E.RUN_L4);

  const model = data + E.EXPRESS_MODEL;
  modelEthernet(node, model, rx, TYPE_IP6 | VERSION6, 0xffff | VERSION6_MASK);
  store<u32>(model, rx, E.MODEL_RX);
  store<u32>(model, protocol, E.MODEL_PROTOCOL);
  v128.store(model, v128.load(ip, IP6_DESTINATION), E.MODEL_DESTINATION);
  store<u32>(model, ports, E.MODEL_PORTS);
  store<u32>(model, perPort ? 0xffff0000 : 0, E.MODEL_PORTS_MASK);
  store<u32>(model, isBySource(record) ? 0 : -1, E.MODEL_PORTS_HASHED);
  // ip6-input answers a hop limit of 0
  store<u32>(model, max<u32>(load<u8>(record, VIP_MIN_TTL), 1), E.MODEL_TTL);
  store<u32>(model, least, E.MODEL_LEAST);
  store<u32>(model, most, E.MODEL_MOST);
  return vip;
}

/** Passes packets that are as the model; returns the place of the first that is not. For the others, hashes and places are written. */
export function checkRun6(at: usize, end: usize, frames: usize, metadata: usize, data: usize, lb: usize): usize {
  const model = data + E.EXPRESS_MODEL;
  const secret = lb + LB_SECRET;
  const seed = stickySeed6(secret, model + E.MODEL_DESTINATION);
  if (load<u32>(model, E.MODEL_PORTS_MASK) == 0) return allPorts(at, end, frames, metadata, data, secret, seed);
  return onePort(at, end, frames, metadata, data, secret, seed);
}
function allPorts(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  data: usize,
  secret: usize,
  seed: u32,
): usize {
  return pass(false, at, end, frames, metadata, data, secret, seed);
}
function onePort(
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  data: usize,
  secret: usize,
  seed: u32,
): usize {
  return pass(true, at, end, frames, metadata, data, secret, seed);
}

// @ts-ignore: decorator
@inline function pass(
  perPort: bool,
  at: usize,
  end: usize,
  frames: usize,
  metadata: usize,
  data: usize,
  secret: usize,
  seed: u32,
): usize {
  const model = data + E.EXPRESS_MODEL;
  const ethernetMask = v128.load(model, E.MODEL_ETHERNET_MASK);
  const ethernetModel = v128.load(model, E.MODEL_ETHERNET);
  const destination = v128.load(model, E.MODEL_DESTINATION);
  const rx = load<u32>(model, E.MODEL_RX);
  const protocol = load<u32>(model, E.MODEL_PROTOCOL);
  const port = load<u32>(model, E.MODEL_PORTS) >>> 16;
  const hashedPorts = load<u32>(model, E.MODEL_PORTS_HASHED);
  const least = load<u32>(model, E.MODEL_LEAST);
  const span = load<u32>(model, E.MODEL_MOST) - least;
  const minTtl = load<u32>(model, E.MODEL_TTL);
  const key = stickyKey(secret);
  const high = stickyHigh(secret);
  const low = stickyLow(secret);
  for (let words = data + at; at < end; at += 4, words += 4) {
    const buffer: usize = load<u32>(words, E.EXPRESS_BUFFERS);
    // META_DATA and META_LENGTH, then META_RX and META_FLAGS
    const place = load<u64>(metaOf(metadata, buffer));
    const ethernet = frames + (buffer << FRAME_SHIFT) + <usize>(place & 0xffff);
    const ip = ethernet + ETHERNET_BYTES;
    if (<u32>(place >> 32) != rx) break;
    const otherFrame = v128.and(v128.xor(v128.load(ethernet), ethernetModel), ethernetMask);
    if (v128.any_true(v128.or(otherFrame, v128.xor(v128.load(ip, IP6_DESTINATION), destination)))) break;
    // version and flow; length, next header and hop limit
    const head = <u32>(load<u64>(ip) >> 32);
    if (((head >>> 16) & 0xff) != protocol || head >>> 24 < minTtl) break;
    const length = <u32>bswap<u16>(<u16>head) + IP6_BYTES;
    if (length - least > span || length + ETHERNET_BYTES > (<u32>place >>> 16)) break;
    if (!goodSource6(ip + IP6_SOURCE)) break;
    if (perPort && <u32>load<u16>(ip, IP6_BYTES + 2) != port) break;
    const hash = stickyHash6(seed, key, high, low, ip + IP6_SOURCE, load<u32>(ip, IP6_BYTES) & hashedPorts);
    store<u32>(words, hash, E.EXPRESS_HASHES);
    store<u32>(words, ((<u32>place & 0xffff) + ETHERNET_BYTES) | (length << 16), E.EXPRESS_PLACES);
  }
  return at;
}
