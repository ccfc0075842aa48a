/**
 * Vectors whose packets go to many VIPs in turn, for express.ts: each packet gets its VIP by itself, in four loops: headers, VIPs,
 * hashes, and the sticky table's lines. The order of packets stays as it is.
 */
import { fib4Lookup } from '@lbd/fib/assembly/fib4.ts';
import { fib6LookupNext } from '@lbd/fib/assembly/fib6.ts';
import { goodSource } from '@lbd/fib/assembly/ip4.ts';
import { goodSource6 } from '@lbd/fib/assembly/ip6.ts';
import { DPO_INDEX_MASK, DPO_SHIFT, FIB6_LAST_AT } from '@lbd/fib/src/layout.ts';
import { featureBit, featuresOf, framesOf, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { FRAME_SHIFT, MAX_INTERFACES, META_RX } from '@lbd/graph/src/layout.ts';
import { isRight } from '@lbd/packet/assembly/checksum.ts';
import {
  ETHERNET_BYTES,
  IP4_BYTES,
  IP4_DESTINATION,
  IP4_SOURCE,
  IP4_TTL,
  IP6_BYTES,
  IP6_DESTINATION,
  IP6_HOP_LIMIT,
  IP6_SOURCE,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_BYTES,
  UDP_BYTES,
} from '@lbd/packet/src/layout.ts';
import {
  stickyHash4,
  stickyHash6,
  stickyHigh,
  stickyKey,
  stickyLow,
  stickySeed4,
  stickySeed6,
} from '@lbd/sticky/assembly/hash.ts';
import { stickyTouchAll } from '@lbd/sticky/assembly/sticky.ts';
import * as E from '../src/express-layout.ts';
import { LB_SECRET, LB_STICKY, VIP_MAX_LENGTH, VIP_MIN_TTL } from '../src/layout.ts';
import { TYPE_IP4, TYPE_IP6, VERSION6, VERSION6_MASK, hasOthers, modelEthernet } from './express-model.ts';
import { isBySource, vipOfPort, vipRecord } from './hash.ts';
import { keyOfPort } from './port-key.ts';

/** Of the first eight bytes of IPv4 those that usual packets have in common: version, header length, MF and fragment offset. */
const FIXED: u64 = 0xff3f0000000000ff;
/** 2^64 divided by the golden ratio. */
const SPREAD: u64 = 0x9e3779b97f4a7c15;

/**
 * Splits the vector into runs of packets that came in on one interface, and finds out which of them are usual packets to VIPs. `end`: four
 * times the packets; places in the vector are counted in bytes, too. Returns how many such packets there are.
 */
export function prepareMany(six: bool, node: usize, data: usize, lb: usize, end: usize): u32 {
  let run = data + E.EXPRESS_RUNS;
  for (let at: usize = 0; at < end; run += E.RUN_BYTES) {
    at = startInterface(six, node, data, at, end, run);
    store<u32>(run, <u32>at, E.RUN_END);
  }
  const some = six ? resolve6(data, lb, end) : resolve4(data, lb, end);
  if (some == 0) return 0;
  if (six) hashes6(data, lb, end);
  else hashes4(data, lb, end);
  stickyTouchAll(load<u32>(lb, LB_STICKY), data + E.EXPRESS_HASHES, <i32>end >> 2);
  return some;
}

/** A run of packets of one interface, their headers checked; returns its end. */
function startInterface(six: bool, node: usize, data: usize, at: usize, end: usize, run: usize): usize {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const rx = load<u32>(metaOf(metadata, load<u32>(data + at, E.EXPRESS_BUFFERS)), META_RX);
  // an interface, and no flags behind it
  const features = rx < <u32>MAX_INTERFACES ? featuresOf(node, rx) : ~0;
  store<u32>(run, features & featureBit(node, E.STANDS_FOR_CHECKSUM), E.RUN_COMPLETES);
  store<u32>(run, 0, E.RUN_VIP);
  if (hasOthers(node, features)) {
    store<u32>(data + at, 0, E.MANY_L4);
    return at + 4;
  }
  store<u32>(run, E.RUN_MANY, E.RUN_VIP);
  const model = data + E.EXPRESS_MODEL;
  if (six) {
    modelEthernet(node, model, rx, TYPE_IP6 | VERSION6, 0xffff | VERSION6_MASK);
    return headers6(data, at, end, frames, metadata, rx);
  }
  modelEthernet(node, model, rx, TYPE_IP4, 0xffff);
  return headers4(data, at, end, frames, metadata, rx);
}

/** Checks headers of packets of one interface; returns the place of the first of another. MANY_L4 is 0 of those that are not usual. */
function headers4(data: usize, at: usize, end: usize, frames: usize, metadata: usize, rx: u32): usize {
  const ethernetModel = v128.load(data, E.EXPRESS_MODEL + E.MODEL_ETHERNET);
  const ethernetMask = v128.load(data, E.EXPRESS_MODEL + E.MODEL_ETHERNET_MASK);
  for (let words = data + at; at < end; at += 4, words += 4) {
    const buffer: usize = load<u32>(words, E.EXPRESS_BUFFERS);
    // META_DATA and META_LENGTH, then META_RX and META_FLAGS
    const place = load<u64>(metaOf(metadata, buffer));
    if (<u32>(place >> 32) != rx) break;
    const ethernet = frames + (buffer << FRAME_SHIFT) + <usize>(place & 0xffff);
    const ip = ethernet + ETHERNET_BYTES;
    const a = load<u64>(ip);
    const b = load<u64>(ip, 8);
    const length: u32 = bswap<u16>(<u16>(a >> 16));
    const protocol = (<u32>b >>> 8) & 0xff;
    store<u32>(words, 0, E.MANY_L4);
    if (v128.any_true(v128.and(v128.xor(v128.load(ethernet), ethernetModel), ethernetMask))) continue;
    if ((a & FIXED) != 0x45) continue;
    if (!isRight((a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + <u64>load<u32>(ip, 16))) continue;
    if (!goodSource(<u32>(b >> 32) & 0xff)) continue;
    let least: u32 = IP4_BYTES + UDP_BYTES;
    if (protocol != PROTOCOL_UDP) {
      if (protocol != PROTOCOL_TCP) continue;
      least = IP4_BYTES + TCP_BYTES;
    }
    if (length < least || length + ETHERNET_BYTES > (<u32>place >>> 16)) continue;
    store<u32>(words, <u32>ip, E.MANY_IP);
    store<u32>(words, ((<u32>place & 0xffff) + ETHERNET_BYTES) | (length << 16), E.EXPRESS_PLACES);
    store<u32>(words, IP4_BYTES | (protocol << 16), E.MANY_L4);
  }
  return at;
}

function headers6(data: usize, at: usize, end: usize, frames: usize, metadata: usize, rx: u32): usize {
  const ethernetModel = v128.load(data, E.EXPRESS_MODEL + E.MODEL_ETHERNET);
  const ethernetMask = v128.load(data, E.EXPRESS_MODEL + E.MODEL_ETHERNET_MASK);
  for (let words = data + at; at < end; at += 4, words += 4) {
    const buffer: usize = load<u32>(words, E.EXPRESS_BUFFERS);
    const place = load<u64>(metaOf(metadata, buffer));
    if (<u32>(place >> 32) != rx) break;
    const ethernet = frames + (buffer << FRAME_SHIFT) + <usize>(place & 0xffff);
    const ip = ethernet + ETHERNET_BYTES;
    // length, next header and hop limit
    const head = load<u32>(ip, 4);
    const length = <u32>bswap<u16>(<u16>head) + IP6_BYTES;
    const protocol = (head >>> 16) & 0xff;
    store<u32>(words, 0, E.MANY_L4);
    if (v128.any_true(v128.and(v128.xor(v128.load(ethernet), ethernetModel), ethernetMask))) continue;
    if (!goodSource6(ip + IP6_SOURCE)) continue;
    let least: u32 = IP6_BYTES + UDP_BYTES;
    if (protocol != PROTOCOL_UDP) {
      if (protocol != PROTOCOL_TCP) continue;
      least = IP6_BYTES + TCP_BYTES;
    }
    if (length < least || length + ETHERNET_BYTES > (<u32>place >>> 16)) continue;
    store<u32>(words, <u32>ip, E.MANY_IP);
    store<u32>(words, ((<u32>place & 0xffff) + ETHERNET_BYTES) | (length << 16), E.EXPRESS_PLACES);
    store<u32>(words, IP6_BYTES | (protocol << 16), E.MANY_L4);
  }
  return at;
}

function resolve4(data: usize, lb: usize, end: usize): u32 {
  return resolve(false, data, lb, end);
}
function resolve6(data: usize, lb: usize, end: usize): u32 {
  return resolve(true, data, lb, end);
}
/** Finds the VIPs of usual packets; those that have none are not usual. Returns how many have one. */
// @ts-ignore: decorator
@inline function resolve(six: bool, data: usize, lb: usize, end: usize): u32 {
  const fib: usize = load<u32>(data, E.EXPRESS_FIB);
  const perPort = load<u32>(data, E.EXPRESS_PER_PORT);
  const allPorts = load<u32>(data, E.EXPRESS_ALL_PORTS);
  store<u32>(data, 0, E.MANY_PREFIX + FIB6_LAST_AT);
  memory.fill(data + E.MANY_VIPS_ASKED, 0, (six ? 48 : 16) << E.MANY_MEMO_BITS);
  let some: u32 = 0;
  for (let words = data, last = data + end; words < last; words += 4) {
    const l4 = load<u32>(words, E.MANY_L4);
    if (l4 == 0) continue;
    const ip: usize = load<u32>(words, E.MANY_IP);
    const dpo = six ? dpoOf6(data, fib, ip + IP6_DESTINATION) : fib4Lookup(fib, ip + IP4_DESTINATION);
    let vip = dpo & DPO_INDEX_MASK;
    if (dpo >> DPO_SHIFT == perPort) {
      vip = vipOf(data, lb, vip, l4 >>> 16, load<u16>(ip + (six ? IP6_BYTES : IP4_BYTES), 2));
    } else if (dpo >> DPO_SHIFT != allPorts) vip = 0;
    store<u32>(words, vip, E.MANY_VIP);
    store<u32>(words, dpo, E.MANY_DPO);
    if (vip == 0) store<u32>(words, 0, E.MANY_L4);
    else some++;
  }
  return some;
}

/** Place of a key in a memo. */
// @ts-ignore: decorator
@inline function memoOf(key: u64): usize {
  return <usize>((key * SPREAD) >> (64 - E.MANY_MEMO_BITS));
}
/** vipOfPort(), which another packet of the vector may have asked for. */
// @ts-ignore: decorator
@inline function vipOf(data: usize, lb: usize, group: u32, protocol: u32, port: u32): u32 {
  const key = keyOfPort(group, protocol, port);
  const memo = data + (memoOf(key) << 4);
  if (load<u64>(memo, E.MANY_VIPS_ASKED) != key) {
    store<u32>(memo, vipOfPort(lb, group, protocol, port), E.MANY_VIPS_ASKED + 8);
    store<u64>(memo, key, E.MANY_VIPS_ASKED);
  }
  return load<u32>(memo, E.MANY_VIPS_ASKED + 8);
}
/** The DPO of a destination, which another packet of the vector may have asked for. That of ::, if nobody has, is none. */
// @ts-ignore: decorator
@inline function dpoOf6(data: usize, fib: usize, destination: usize): u32 {
  const address = v128.load(destination);
  const memo = data + (memoOf(load<u64>(destination) ^ load<u64>(destination, 8)) << 5);
  if (v128.any_true(v128.xor(v128.load(memo, E.MANY_DPOS_ASKED), address))) {
    store<u32>(memo, fib6LookupNext(fib, destination, data + E.MANY_PREFIX), E.MANY_DPOS_ASKED + 16);
    v128.store(memo, address, E.MANY_DPOS_ASKED);
  }
  return load<u32>(memo, E.MANY_DPOS_ASKED + 16);
}

function hashes4(data: usize, lb: usize, end: usize): void {
  hashes(false, data, lb, end);
}
function hashes6(data: usize, lb: usize, end: usize): void {
  hashes(true, data, lb, end);
}
/** Hashes the packets that have a VIP, and leaves those that it has not the length or the TTL for. */
// @ts-ignore: decorator
@inline function hashes(six: bool, data: usize, lb: usize, end: usize): void {
  const secret = lb + LB_SECRET;
  const key = stickyKey(secret);
  const high: u64 = six ? stickyHigh(secret) : 0;
  const low: u64 = six ? stickyLow(secret) : 0;
  for (let words = data, last = data + end; words < last; words += 4) {
    if (load<u32>(words, E.MANY_L4) == 0) continue;
    const ip: usize = load<u32>(words, E.MANY_IP);
    const record = vipRecord(lb, load<u32>(words, E.MANY_VIP));
    const ttl: u32 = six ? load<u8>(ip, IP6_HOP_LIMIT) : load<u8>(ip, IP4_TTL);
    const tooLong = load<u32>(words, E.EXPRESS_PLACES) >>> 16 > <u32>load<u16>(record, VIP_MAX_LENGTH);
    // ip4-input refuses a TTL of 0
    if (tooLong || ttl < max<u32>(load<u8>(record, VIP_MIN_TTL), 1)) {
      store<u32>(words, 0, E.MANY_L4);
      continue;
    }
    const ports: u32 = isBySource(record) ? 0 : load<u32>(ip + (six ? IP6_BYTES : IP4_BYTES));
    const hash = six
      ? stickyHash6(stickySeed6(secret, ip + IP6_DESTINATION), key, high, low, ip + IP6_SOURCE, ports)
      : stickyHash4(stickySeed4(secret, load<u32>(ip, IP4_DESTINATION)), key, load<u32>(ip, IP4_SOURCE), ports);
    store<u32>(words, hash, E.EXPRESS_HASHES);
  }
}
