/**
 * Puts the packets of a vector in another order, so that those to one VIP follow each other, for express.ts, which goes by runs of
 * such. Flows see nothing of it: packets to one address and port keep their order, and so do fragments and all else to one
 * address, and all of other families. A counting sort by 256 keys, made of the destination and, as a little step aside, its port:
 * VIPs that share a key are mixed, as before.
 */
import { dataOf, framesOf, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import {
  ETHERNET_BYTES,
  ETHERNET_TYPE,
  IP4_BYTES,
  IP4_DESTINATION,
  IP4_FRAGMENT,
  IP4_PROTOCOL,
  IP6_BYTES,
  IP6_DESTINATION,
  IP6_NEXT_HEADER,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '@lbd/packet/src/layout.ts';
import { EXPRESS_BUFFERS, EXPRESS_COUNTS, EXPRESS_KEYS, PACKETS_PER_GROUP } from '../src/express-layout.ts';

/** 2^32 divided by the golden ratio: neighbours, as VIPs often are, get keys far from each other. */
// @ts-ignore: decorator
@inline const SPREAD: u32 = 0x9e3779b1;

/** As loaded, little-endian: EtherTypes; version and header length without options; MF and fragment offset. */
// @ts-ignore: decorator
@inline const TYPE_IP4: u32 = 0x0008;
// @ts-ignore: decorator
@inline const TYPE_IP6: u32 = 0xdd86;
// @ts-ignore: decorator
@inline const VERSION_IHL: u32 = 0x45;
// @ts-ignore: decorator
@inline const FRAGMENT: u32 = 0xff3f;

/**
 * `end`: four times the packets. Reorders the vector; its copy at EXPRESS_BUFFERS is where the order before is read. False if nothing is
 * gained: most packets are alone.
 */
export function groupByTarget(six: bool, node: usize, data: usize, vector: usize, end: usize): bool {
  memory.fill(data + EXPRESS_COUNTS, 0, 512);
  if (six) keys6(data, framesOf(node), metadataOf(node), end);
  else keys4(data, framesOf(node), metadataOf(node), end);
  if (<usize>starts(data) * PACKETS_PER_GROUP > end >> 2) return false;
  scatter(data, vector, end);
  return true;
}

function keys4(data: usize, frames: usize, metadata: usize, end: usize): void {
  keys(false, data, frames, metadata, end);
}
function keys6(data: usize, frames: usize, metadata: usize, end: usize): void {
  keys(true, data, frames, metadata, end);
}

/** After groupByTarget(): where the packets end that have the key of the one at `at`. */
export function endOfKey(data: usize, at: usize): usize {
  // a key's start has moved to its end
  let key = data;
  while (<usize>load<u16>(key, EXPRESS_COUNTS) <= at) key += 2;
  return load<u16>(key, EXPRESS_COUNTS);
}

/** Writes each packet's key, and counts. */
// @ts-ignore: decorator
@inline function keys(six: bool, data: usize, frames: usize, metadata: usize, end: usize): void {
  for (let at: usize = 0; at < end; at += 4) {
    const buffer: usize = load<u32>(data + at, EXPRESS_BUFFERS);
    const ethernet = dataOf(frames, buffer, metaOf(metadata, buffer));
    const key = six ? keyOf6(ethernet) : keyOf4(ethernet);
    store<u8>(data + (at >> 2), <u8>key, EXPRESS_KEYS);
    const count = data + (<usize>key << 1);
    store<u16>(count, load<u16>(count, EXPRESS_COUNTS) + 1, EXPRESS_COUNTS);
  }
}
// The port counts only where it is one: a fragment must not pass the first of its datagram, nor a ping the one before.
// @ts-ignore: decorator
@inline function keyOf4(ethernet: usize): u32 {
  const ip = ethernet + ETHERNET_BYTES;
  if (load<u16>(ethernet, ETHERNET_TYPE) != TYPE_IP4) return 0;
  const whole = load<u8>(ip) == VERSION_IHL && (load<u16>(ip, IP4_FRAGMENT) & FRAGMENT) == 0;
  const port: u32 = whole && hasPorts(load<u8>(ip, IP4_PROTOCOL)) ? load<u16>(ip, IP4_BYTES + 2) : 0;
  return keyOf(load<u32>(ip, IP4_DESTINATION), port);
}
// @ts-ignore: decorator
@inline function keyOf6(ethernet: usize): u32 {
  const ip = ethernet + ETHERNET_BYTES;
  if (load<u16>(ethernet, ETHERNET_TYPE) != TYPE_IP6) return 0;
  const port: u32 = hasPorts(load<u8>(ip, IP6_NEXT_HEADER)) ? load<u16>(ip, IP6_BYTES + 2) : 0;
  return keyOf(load<u32>(ip, IP6_DESTINATION + 12) ^ load<u32>(ip, IP6_DESTINATION + 4), port);
}
// @ts-ignore: decorator
@inline function hasPorts(protocol: u32): bool {
  return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP;
}
/** `to`: of a destination as loaded, what VIPs differ in; `port`: 0 or as loaded. */
// @ts-ignore: decorator
@inline function keyOf(to: u32, port: u32): u32 {
  return (((bswap<u32>(to) * SPREAD) >>> 24) + ((bswap<u32>(port) * SPREAD) >>> 29)) & 0xff;
}

/** Makes of each key's count where its packets begin, four times the place in the vector. Returns how many keys there are. */
function starts(data: usize): u32 {
  let sum: u32 = 0;
  let keys: u32 = 0;
  for (const last = data + 512; data < last; data += 2) {
    const count: u32 = load<u16>(data, EXPRESS_COUNTS);
    store<u16>(data, sum, EXPRESS_COUNTS);
    sum += count << 2;
    keys += u32(count != 0);
  }
  return keys;
}

function scatter(data: usize, vector: usize, end: usize): void {
  for (let at: usize = 0; at < end; at += 4) {
    const start = data + (<usize>load<u8>(data + (at >> 2), EXPRESS_KEYS) << 1);
    const place: usize = load<u16>(start, EXPRESS_COUNTS);
    store<u16>(start, <u16>(place + 4), EXPRESS_COUNTS);
    store<u32>(vector + place, load<u32>(data + at, EXPRESS_BUFFERS));
  }
}
