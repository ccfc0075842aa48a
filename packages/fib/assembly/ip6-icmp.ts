/** ICMPv6 that lbd sends (RFC 4443). */
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
  INTERFACE_IP6,
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
import { not16, patch, sum16 } from '@lbd/packet/assembly/checksum.ts';
import {
  ICMP6_ECHO,
  ICMP6_ECHO_REPLY,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_REDIRECT,
  ICMP_BYTES,
  ICMP_CHECKSUM,
  ICMP_TYPE,
  IP6_BYTES,
  IP6_DESTINATION,
  IP6_EXTENSION_NEXT,
  IP6_FRAGMENT_BYTES,
  IP6_HOP_LIMIT,
  IP6_LENGTH,
  IP6_NEXT_HEADER,
  IP6_SOURCE,
  PROTOCOL_ICMP6,
} from '@lbd/packet/src/layout.ts';
import { ICMP6_ERROR_BYTES } from '../src/layout.ts';
import {
  ICMP_ECHO_NOT_A_REQUEST,
  ICMP_ECHO_REPLIES,
  ICMP_ERROR_NO_ADDRESS,
  ICMP_ERROR_NOT_ALLOWED,
  ICMP_ERROR_SENT,
  ICMP_ERROR_TOO_MANY,
} from '../src/nodes/places.ts';
import { askedType, writeIcmpError } from './icmp-error.ts';
import { goodSource6 } from './ip6.ts';
import { MADE_AT, made } from './made.ts';
import { allNexts, setNext } from './next.ts';
import { takeToken } from './token-bucket.ts';

/** EtherType as loaded: a packet may have come in a tunnel of the other family. */
const TYPE_IP6: u32 = 0xdd86;
const DROP: u32 = 0;
const LOOKUP: u32 = 1;
const HOP_LIMIT_OF_ERRORS: u32 = 255;
const HOP_LIMIT_OF_REPLIES: u32 = 64;
/** Version and traffic class, of the word that they share with the flow label, as loaded. */
const VERSION_AND_CLASS: u32 = 0xf0ff;
const VERSION: u32 = 0x60;

/** Makes ICMPv6 errors of packets. The node's data: a token bucket. */
export function ip6IcmpError(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const worker = workerOf(node);
  const interfaces: usize = load<u32>(worker, WORKER_INTERFACES);
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const source = interfaces + (<usize>load<u16>(meta, META_RX) << INTERFACE_SHIFT) + INTERFACE_IP6;
    let result = ICMP_ERROR_SENT;
    if (!mayBeAnswered(meta, ip)) result = ICMP_ERROR_NOT_ALLOWED;
    else if (load<u64>(source) == 0 && load<u64>(source, 8) == 0) result = ICMP_ERROR_NO_ADDRESS;
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

/** RFC 4443, section 2.4 (e): which packets no error is sent about. */
function mayBeAnswered(meta: usize, ip: usize): bool {
  if (!goodSource6(ip + IP6_SOURCE)) return false;
  if (load<u8>(ip, IP6_DESTINATION) == 0xff && askedType(meta) != ICMP6_PACKET_TOO_BIG) return false;
  const l4: usize = load<u16>(meta, META_L4);
  if (load<u16>(meta, META_FLAGS) & FLAG_LATER_FRAGMENT) {
    // what is in the first fragment is not known here: not about what may be an ICMPv6 error
    return load<u8>(ip + l4 - IP6_FRAGMENT_BYTES, IP6_EXTENSION_NEXT) != PROTOCOL_ICMP6;
  }
  if (load<u8>(meta, META_PROTOCOL) != PROTOCOL_ICMP6) return true;
  if (<usize>load<u16>(meta, META_LENGTH) <= l4) return false;
  const type: u32 = load<u8>(ip + l4, ICMP_TYPE);
  return type >= <u32>ICMP6_ECHO && type != ICMP6_REDIRECT;
}

/** Quotes as much of the packet at `ip` as an error takes, and puts the headers in front, at `out`. */
function makeError(meta: usize, ip: usize, out: usize, source: usize): void {
  const most: u32 = ICMP6_ERROR_BYTES - IP6_BYTES - ICMP_BYTES;
  const came: u32 = load<u16>(meta, META_LENGTH);
  const quoted = came < most ? came : most;
  const bytes = ICMP_BYTES + quoted;
  const to = v128.load(ip, IP6_SOURCE);
  memory.copy(out + IP6_BYTES + ICMP_BYTES, ip, quoted);
  store<u16>(out - 2, TYPE_IP6);
  writeIp6(out, VERSION, bytes, HOP_LIMIT_OF_ERRORS, v128.load(source), to);
  // of the pseudo-header: length and protocol are the low bytes of big-endian words
  const pseudo = sum16(out + IP6_SOURCE) + sum16(out + IP6_DESTINATION) + bswap<u16>(<u16>bytes) + (PROTOCOL_ICMP6 << 8);
  writeIcmpError(out + IP6_BYTES, meta, quoted, pseudo);
  store<u16>(meta, MADE_AT, META_DATA);
  made(meta, IP6_BYTES + bytes, IP6_BYTES, PROTOCOL_ICMP6);
}

/** Writes the header of an ICMPv6 message of `bytes` bytes. */
// @ts-ignore: decorator
@inline function writeIp6(ip: usize, first: u32, bytes: u32, hopLimit: u32, source: v128, destination: v128): void {
  store<u32>(ip, first);
  store<u16>(ip, bswap<u16>(<u16>bytes), IP6_LENGTH);
  store<u8>(ip, PROTOCOL_ICMP6, IP6_NEXT_HEADER);
  store<u8>(ip, hopLimit, IP6_HOP_LIMIT);
  v128.store(ip, source, IP6_SOURCE);
  v128.store(ip, destination, IP6_DESTINATION);
}

/** Answers echo requests (RFC 4443, section 4.2), without the request's extension headers. */
export function ip6IcmpEchoRequest(node: usize, vector: usize, count: i32, nexts: usize): i32 {
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
  if (load<u8>(meta, META_PROTOCOL) != PROTOCOL_ICMP6 || length < l4 + ICMP_BYTES) return false;
  // type and code
  if (load<u16>(ip + <usize>l4) != ICMP6_ECHO) return false;
  const bytes = length - l4;
  const icmp = ip + IP6_BYTES;
  if (l4 != IP6_BYTES) memory.copy(icmp, ip + <usize>l4, bytes);
  store<u8>(icmp, ICMP6_ECHO_REPLY, ICMP_TYPE);
  store<u16>(icmp, patch(load<u16>(icmp, ICMP_CHECKSUM), not16(ICMP6_ECHO), ICMP6_ECHO_REPLY), ICMP_CHECKSUM);
  const first = load<u32>(ip) & VERSION_AND_CLASS;
  const source = v128.load(ip, IP6_DESTINATION);
  writeIp6(ip, first, bytes, HOP_LIMIT_OF_REPLIES, source, v128.load(ip, IP6_SOURCE));
  made(meta, IP6_BYTES + bytes, IP6_BYTES, PROTOCOL_ICMP6);
  return true;
}
