/** lb-nat4-in2out: the packets of servers get the very address and port that their client used, found by session. */
import { hash16, search16, touchVector16 } from '@lbd/bihash/assembly/bihash16.ts';
import { fib4Lookup } from '@lbd/fib/assembly/fib4.ts';
import { DPO_FIRST_FREE, DPO_RECEIVE, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import {
  arcOf,
  bufferAt,
  count as add,
  dataOf,
  framesOf,
  metadataOf,
  metaOf,
  nextFeature,
  nowOf,
  reason,
} from '@lbd/graph/assembly/abi.ts';
import { META_L4, META_PROTOCOL, MIXED, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { LB_VIPS, VIP_ADDRESS4, VIP_PORT, VIP_SHIFT } from '@lbd/lb/src/layout.ts';
import { not16, not32, patch } from '@lbd/packet/assembly/checksum.ts';
import {
  IP4_CHECKSUM,
  IP4_DESTINATION,
  IP4_SOURCE,
  PROTOCOL_TCP,
  TCP_CHECKSUM,
  TCP_FLAGS,
  UDP_CHECKSUM,
} from '@lbd/packet/src/layout.ts';
import {
  DATA_FOUND,
  DATA_HASHES,
  DATA_LB,
  DATA_NAT,
  DATA_TOUCHED,
  IN2OUT_NEXT_PUNT,
  IN2OUT_NO_SESSION,
  IN2OUT_STATIC,
  IN2OUT_TRANSLATED,
  KEY_REVERSE,
  KEY_SERVER,
  NAT_FIB,
  NAT_TABLE,
  SEEN_FIN_SERVER,
  SEEN_REPLY,
  SESSION_ADDRESSES,
  SESSION_PORTS,
  SESSION_SEEN,
} from '../src/layout.ts';
import { hasHeader } from './nat4.ts';
import { keyTail, renew, seenOfTcp, sessionAt } from './session.ts';

export function nat4_in2out(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const data = node + NODE_DATA;
  const nat: usize = load<u32>(data, DATA_NAT);
  const lb: usize = load<u32>(data, DATA_LB);
  const table: usize = load<u32>(nat, NAT_TABLE);
  const hashes = data + DATA_HASHES;
  const found = data + DATA_FOUND;
  const now = nowOf(node);
  const arc = arcOf(node);
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const ports = load<u32>(ip + <usize>load<u16>(meta, META_L4));
    const hash = hash16(load<u64>(ip, IP4_SOURCE), keyTail(ports, load<u8>(meta, META_PROTOCOL), KEY_REVERSE));
    store<u32>(hashes + (<usize>i << 2), hash);
  }
  let touched = touchVector16(table, hashes, found, count);
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const ports = load<u32>(ip + <usize>load<u16>(meta, META_L4));
    const tail = keyTail(ports, load<u8>(meta, META_PROTOCOL), KEY_REVERSE);
    const value = search16(table, load<u32>(hashes + (<usize>i << 2)), load<u64>(ip, IP4_SOURCE), tail);
    const index: u32 = value == <u64>-1 ? 0 : <u32>value;
    store<u32>(found + (<usize>i << 2), index);
  }
  for (let i = 0; i < count; i++) touched += <u64>load<u8>(sessionAt(nat, load<u32>(found + (<usize>i << 2))), SESSION_SEEN);
  store<u64>(data, touched, DATA_TOUCHED);
  let first = 0;
  let different = 0;
  let translated: u64 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const l4 = ip + <usize>load<u16>(meta, META_L4);
    const index = load<u32>(found + (<usize>i << 2));
    const protocol: u32 = load<u8>(meta, META_PROTOCOL);
    let next = nextFeature(arc, meta);
    const whole = hasHeader(meta, protocol);
    if (whole && index != 0) {
      const session = sessionAt(nat, index);
      let seen = <u32>load<u8>(session, SESSION_SEEN) | SEEN_REPLY;
      if (protocol == PROTOCOL_TCP) seen |= seenOfTcp(load<u8>(l4, TCP_FLAGS), SEEN_FIN_SERVER);
      if (seen != <u32>load<u8>(session, SESSION_SEEN)) atomic.or<u8>(session, <u8>seen, SESSION_SEEN);
      renew(nat, session, seen, now);
      rewriteSource(ip, l4, protocol, <u32>(load<u64>(session, SESSION_ADDRESSES) >> 32), load<u32>(session, SESSION_PORTS) >>> 16);
      translated++;
    } else {
      const way = withoutSession(nat, lb, table, ip, l4, protocol, whole);
      if (way == STATIC) add(node, IN2OUT_STATIC, 1);
      if (way == LEFT_ALONE) {
        reason(node, meta, IN2OUT_NO_SESSION);
        next = IN2OUT_NEXT_PUNT;
      }
    }
    store<u16>(nexts + (<usize>i << 1), <u16>next);
    if (i == 0) first = next;
    different |= next ^ first;
  }
  add(node, IN2OUT_TRANSLATED, translated);
  return different ? MIXED : first;
}

// @ts-ignore: decorator
@inline const STATIC = 0;
// @ts-ignore: decorator
@inline const TO_VIP = 1;
// @ts-ignore: decorator
@inline const LEFT_ALONE = 2;

/**
 * What to do with a packet that belongs to no session: one to a VIP goes on (a server may be a client, too); one from the
 * port of a server that is exactly one VIP's gets that VIP's address and port, unless it is for this host; any other is
 * not the load balancer's.
 */
function withoutSession(nat: usize, lb: usize, table: usize, ip: usize, l4: usize, protocol: u32, whole: bool): i32 {
  const type = <i32>(fib4Lookup(load<u32>(nat, NAT_FIB), ip + IP4_DESTINATION) >>> DPO_SHIFT);
  if (type >= DPO_FIRST_FREE) return TO_VIP;
  if (!whole || type == DPO_RECEIVE) return LEFT_ALONE;
  const k0 = <u64>load<u32>(ip, IP4_SOURCE);
  const k1 = keyTail(load<u16>(l4), protocol, KEY_SERVER);
  const value = search16(table, hash16(k0, k1), k0, k1);
  if (value == <u64>-1) return LEFT_ALONE;
  const vip: usize = <usize>load<u32>(lb, LB_VIPS) + (<usize>value << VIP_SHIFT);
  rewriteSource(ip, l4, protocol, load<u32>(vip, VIP_ADDRESS4), load<u16>(vip, VIP_PORT));
  return STATIC;
}

/** Gives a packet another source address and port (both in wire order), checksums included. */
// @ts-ignore: decorator
@inline function rewriteSource(ip: usize, l4: usize, protocol: u32, address: u32, port: u32): void {
  const gone = not32(load<u32>(ip, IP4_SOURCE));
  const goneL4 = gone + not16(load<u16>(l4));
  const comeL4: u64 = <u64>address + <u64>port;
  if (protocol == PROTOCOL_TCP) {
    store<u16>(l4, <u16>patch(load<u16>(l4, TCP_CHECKSUM), goneL4, comeL4), TCP_CHECKSUM);
  } else {
    const checksum: u32 = load<u16>(l4, UDP_CHECKSUM);
    if (checksum != 0) {
      const patched = patch(checksum, goneL4, comeL4);
      store<u16>(l4, <u16>(patched == 0 ? 0xffff : patched), UDP_CHECKSUM);
    }
  }
  store<u16>(ip, <u16>patch(load<u16>(ip, IP4_CHECKSUM), gone, <u64>address), IP4_CHECKSUM);
  store<u32>(ip, address, IP4_SOURCE);
  store<u16>(l4, <u16>port);
}
