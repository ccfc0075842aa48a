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
  FRAME_SHIFT,
  INTERFACE_IP4,
  INTERFACE_IP6,
  INTERFACE_SHIFT,
  META_RX,
  NODE_DATA,
  WORKER_INTERFACES,
  WORKER_NOW_MS,
} from '@lbd/graph/src/layout.ts';
import {
  ICMP_ECHO_NOT_A_REQUEST,
  ICMP_ECHO_REPLIES,
  ICMP_ERROR_NO_ADDRESS,
  ICMP_ERROR_NOT_ALLOWED,
  ICMP_ERROR_SENT,
  ICMP_ERROR_TOO_MANY,
} from '../src/nodes/places.ts';
import { makeError4, mayBeAnswered4, reply4 } from './ip4-icmp.ts';
import { makeError6, mayBeAnswered6, reply6 } from './ip6-icmp.ts';
import { MADE_AT } from './made.ts';
import { allNexts, setNext } from './next.ts';
import { takeToken } from './token-bucket.ts';

const DROP: u32 = 0;
const LOOKUP: u32 = 1;

/** Makes ICMP errors of packets. The node's data: a token bucket. */
export function ip4IcmpError(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return errors(node, vector, count, nexts, 4);
}
export function ip6IcmpError(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return errors(node, vector, count, nexts, 6);
}
/** Answers echo requests. */
export function ip4IcmpEchoRequest(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return replies(node, vector, count, nexts, 4);
}
export function ip6IcmpEchoRequest(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return replies(node, vector, count, nexts, 6);
}

// @ts-ignore: decorator
@inline function errors(node: usize, vector: usize, count: i32, nexts: usize, family: u32): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const worker = workerOf(node);
  const interfaces: usize = load<u32>(worker, WORKER_INTERFACES);
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const entry = interfaces + (<usize>load<u16>(meta, META_RX) << INTERFACE_SHIFT);
    let result = ICMP_ERROR_SENT;
    if (!(family == 4 ? mayBeAnswered4(meta, ip) : mayBeAnswered6(meta, ip))) result = ICMP_ERROR_NOT_ALLOWED;
    else if (!hasAddress(entry, family)) result = ICMP_ERROR_NO_ADDRESS;
    else if (!takeToken(node + NODE_DATA, load<u32>(worker, WORKER_NOW_MS))) result = ICMP_ERROR_TOO_MANY;
    else {
      // the packet ends here, for the reason that its sender gave; what goes on is another
      countReason(worker, meta);
      const out = frames + (buffer << FRAME_SHIFT) + <usize>MADE_AT;
      if (family == 4) makeError4(meta, ip, out, entry + INTERFACE_IP4);
      else makeError6(meta, ip, out, entry + INTERFACE_IP6);
    }
    addTo(node, result, 1);
    differ |= setNext(nexts, i, result == ICMP_ERROR_SENT ? LOOKUP : DROP);
  }
  return allNexts(nexts, differ);
}

// @ts-ignore: decorator
@inline function hasAddress(entry: usize, family: u32): bool {
  if (family == 4) return load<u32>(entry, INTERFACE_IP4) != 0;
  return (load<u64>(entry, INTERFACE_IP6) | load<u64>(entry, INTERFACE_IP6 + 8)) != 0;
}

// @ts-ignore: decorator
@inline function replies(node: usize, vector: usize, count: i32, nexts: usize, family: u32): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  let answered: u64 = 0;
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    let slot = LOOKUP;
    if (family == 4 ? reply4(meta, ip) : reply6(meta, ip)) answered++;
    else {
      reason(node, meta, ICMP_ECHO_NOT_A_REQUEST);
      slot = DROP;
    }
    differ |= setNext(nexts, i, slot);
  }
  if (answered) addTo(node, ICMP_ECHO_REPLIES, answered);
  return allNexts(nexts, differ);
}
