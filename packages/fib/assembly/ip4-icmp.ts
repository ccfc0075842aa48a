/** ICMP that lbd sends (RFC 792, RFC 1122 section 3.2.2, RFC 1812 section 4.3). */
import {
  bufferAt,
  count as addTo,
  dataOf,
  framesOf,
  metadataOf,
  metaOf,
  reason,
  workerOf,
} from '@lbd/graph/assembly/abi.ts';
import { countReason } from '@lbd/graph/assembly/drop.ts';
import {
  FLAG_FIRST_FRAGMENT,
  FLAG_LATER_FRAGMENT,
  FRAME_SHIFT,
  INTERFACE_IP4,
  INTERFACE_SHIFT,
  META_DATA,
  META_FLAGS,
  META_L4,
  META_LENGTH,
  META_PROTOCOL,
  META_RX,
  NODE_DATA,
  WORKER_INTERFACES,
  WORKER_NOW_MS,
} from '@lbd/graph/src/layout.ts';
import { not16, patch } from '@lbd/packet/assembly/checksum.ts';
import {
  ICMP4_ECHO,
  ICMP4_ECHO_REPLY,
  ICMP4_PARAMETER_PROBLEM,
  ICMP4_REDIRECT,
  ICMP4_SOURCE_QUENCH,
  ICMP4_TIME_EXCEEDED,
  ICMP4_UNREACHABLE,
  ICMP_BYTES,
  ICMP_CHECKSUM,
  ICMP_TYPE,
  IP4_BYTES,
  IP4_DESTINATION,
  IP4_DF,
  IP4_FRAGMENT,
  IP4_ID,
  IP4_SOURCE,
  IP4_TOS,
  PROTOCOL_ICMP4,
} from '@lbd/packet/src/layout.ts';
import { ICMP4_ERROR_BYTES } from '../src/layout.ts';
import {
  ICMP_ECHO_NOT_A_REQUEST,
  ICMP_ECHO_REPLIES,
  ICMP_ERROR_NO_ADDRESS,
  ICMP_ERROR_NOT_ALLOWED,
  ICMP_ERROR_SENT,
  ICMP_ERROR_TOO_MANY,
} from '../src/nodes/places.ts';
import { writeIcmpError } from './icmp-error.ts';
import { goodSource, writeIp4 } from './ip4.ts';
import { MADE_AT, made } from './made.ts';
import { allNexts, setNext } from './next.ts';
import { takeToken } from './token-bucket.ts';

/** EtherType as loaded: a packet may have come in a tunnel of the other family. */
const TYPE_IP4: u32 = 0x0008;
const DROP: u32 = 0;
const LOOKUP: u32 = 1;
const TTL_OF_ERRORS: u32 = 255;
const TTL_OF_REPLIES: u32 = 64;
/** A bit for each type of ICMP message that is an error. */
const ERRORS: u32 =
  (1 << ICMP4_UNREACHABLE) |
  (1 << ICMP4_SOURCE_QUENCH) |
  (1 << ICMP4_REDIRECT) |
  (1 << ICMP4_TIME_EXCEEDED) |
  (1 << ICMP4_PARAMETER_PROBLEM);

/** Makes ICMP errors of packets. The node's data: a token bucket. */
export function ip4IcmpError(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const worker = workerOf(node);
  const interfaces: usize = load<u32>(worker, WORKER_INTERFACES);
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const source = load<u32>(interfaces + (<usize>load<u16>(meta, META_RX) << INTERFACE_SHIFT), INTERFACE_IP4);
    let result = ICMP_ERROR_SENT;
    if (!mayBeAnswered(meta, ip)) result = ICMP_ERROR_NOT_ALLOWED;
    else if (source == 0) result = ICMP_ERROR_NO_ADDRESS;
    else if (!takeToken(node + NODE_DATA, load<u32>(worker, WORKER_NOW_MS))) result = ICMP_ERROR_TOO_MANY;
    else {
      countReason(worker, meta);
      makeError(meta, ip, frames + (buffer << FRAME_SHIFT) + <usize>MADE_AT, source);
    }
    addTo(node, result, 1);
    differ |= setNext(nexts, i, result == ICMP_ERROR_SENT ? LOOKUP : DROP);
  }
  return allNexts(nexts, differ);
}

/** RFC 1122, section 3.2.2: which packets no error is sent about. */
function mayBeAnswered(meta: usize, ip: usize): bool {
  if (load<u16>(meta, META_FLAGS) & FLAG_LATER_FRAGMENT) return false;
  if (!goodSource(load<u8>(ip, IP4_SOURCE)) || load<u8>(ip, IP4_DESTINATION) >= 224) return false;
  if (load<u8>(meta, META_PROTOCOL) != PROTOCOL_ICMP4) return true;
  const l4: usize = load<u16>(meta, META_L4);
  if (<usize>load<u16>(meta, META_LENGTH) <= l4) return false;
  const type: u32 = load<u8>(ip + l4, ICMP_TYPE);
  return type > 31 || ((ERRORS >> type) & 1) == 0;
}

/** Quotes as much of the packet at `ip` as an error takes, and puts the headers in front, at `out`. */
function makeError(meta: usize, ip: usize, out: usize, source: u32): void {
  const most: u32 = ICMP4_ERROR_BYTES - IP4_BYTES - ICMP_BYTES;
  const came: u32 = load<u16>(meta, META_LENGTH);
  const quoted = came < most ? came : most;
  const length = IP4_BYTES + ICMP_BYTES + quoted;
  const to = load<u32>(ip, IP4_SOURCE);
  memory.copy(out + IP4_BYTES + ICMP_BYTES, ip, quoted);
  store<u16>(out - 2, TYPE_IP4);
  writeIp4(out, length, 0, 0, 0, TTL_OF_ERRORS, PROTOCOL_ICMP4, source, to);
  writeIcmpError(out + IP4_BYTES, meta, quoted, 0);
  store<u16>(meta, MADE_AT, META_DATA);
  made(meta, length, IP4_BYTES, PROTOCOL_ICMP4);
}

/** Answers echo requests (RFC 1122, section 3.2.2.6), without the request's IP options. */
export function ip4IcmpEchoRequest(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  let replies: u64 = 0;
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    let slot = LOOKUP;
    if (reply(meta, dataOf(frames, buffer, meta))) replies++;
    else {
      reason(node, meta, ICMP_ECHO_NOT_A_REQUEST);
      slot = DROP;
    }
    differ |= setNext(nexts, i, slot);
  }
  if (replies) addTo(node, ICMP_ECHO_REPLIES, replies);
  return allNexts(nexts, differ);
}

/** Makes an echo request its reply; false if it is none. Its checksum is updated, so that damage stays visible. */
function reply(meta: usize, ip: usize): bool {
  const length: u32 = load<u16>(meta, META_LENGTH);
  const l4: u32 = load<u16>(meta, META_L4);
  if (load<u16>(meta, META_FLAGS) & (FLAG_FIRST_FRAGMENT | FLAG_LATER_FRAGMENT)) return false;
  if (load<u8>(meta, META_PROTOCOL) != PROTOCOL_ICMP4 || length < l4 + ICMP_BYTES) return false;
  // type and code
  if (load<u16>(ip + <usize>l4) != ICMP4_ECHO) return false;
  const bytes = length - l4;
  const icmp = ip + IP4_BYTES;
  const df = load<u16>(ip, IP4_FRAGMENT) & bswap<u16>(<u16>IP4_DF);
  const source = load<u32>(ip, IP4_DESTINATION);
  const destination = load<u32>(ip, IP4_SOURCE);
  if (l4 != IP4_BYTES) memory.copy(icmp, ip + <usize>l4, bytes);
  store<u8>(icmp, ICMP4_ECHO_REPLY, ICMP_TYPE);
  store<u16>(icmp, patch(load<u16>(icmp, ICMP_CHECKSUM), not16(ICMP4_ECHO), ICMP4_ECHO_REPLY), ICMP_CHECKSUM);
  const total = IP4_BYTES + bytes;
  const tos = load<u8>(ip, IP4_TOS);
  writeIp4(ip, total, tos, load<u16>(ip, IP4_ID), df, TTL_OF_REPLIES, PROTOCOL_ICMP4, source, destination);
  made(meta, total, IP4_BYTES, PROTOCOL_ICMP4);
  return true;
}
