import { arcOf, dataOf, framesOf, metadataOf, metaOf, nextFeature, reason } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_L4, META_LENGTH, META_RX } from '@lbd/graph/src/layout.ts';
import { fold, isRight, sumBytes } from '@lbd/packet/assembly/checksum.ts';
import { ICMP4_TIME_EXCEEDED, IP4_BYTES, IP4_LENGTH, IP4_SOURCE, IP4_TTL } from '@lbd/packet/src/layout.ts';
import {
  IP4_INPUT_BAD_CHECKSUM,
  IP4_INPUT_BAD_HEADER_LENGTH,
  IP4_INPUT_BAD_LENGTH,
  IP4_INPUT_BAD_SOURCE,
  IP4_INPUT_BAD_VERSION,
  IP4_INPUT_TRUNCATED,
  IP4_INPUT_TTL_EXPIRED,
} from '../src/nodes/places.ts';
import { askIcmpError } from './icmp-error.ts';
import { describe4, goodSource } from './ip4.ts';

const DROP: u32 = 0;
const ICMP_ERROR: u32 = 1;
/** Of the first eight bytes, those that the usual packet has in common: version, header length, MF and fragment offset. */
const FIXED: u64 = 0xff3f0000000000ff;

/**
 * Validates the IPv4 header (RFC 1812, section 5.2.2), trims Ethernet padding, and says where the L4 header is. The usual
 * packet, without options, not a fragment and right, is looked at in a loop of its own.
 */
export function ip4Input(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const arc = arcOf(node);
  const end = vector + (<usize>count << 2);
  const meta = metaOf(metadata, load<u32>(vector));
  const at = usual(vector, end, frames, metadata, load<u16>(meta, META_RX));
  return at == end ? nextFeature(arc, meta) : inRuns(node, vector, at, end, nexts, frames, metadata, arc);
}

/** The rest of a vector whose packets up to `at` are usual. */
function inRuns(
  node: usize,
  vector: usize,
  at: usize,
  end: usize,
  nexts: usize,
  frames: usize,
  metadata: usize,
  arc: usize,
): i32 {
  let from = vector;
  let any: u32 = 0;
  let all: u32 = ALL;
  while (from < end) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    let slot = <u32>nextFeature(arc, meta);
    if (at == from) {
      slot = unusual(node, meta, dataOf(frames, buffer, meta), slot);
      at += 4;
    }
    sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
    if (at < end) at = usual(at, end, frames, metadata, load<u16>(metaOf(metadata, load<u32>(at)), META_RX));
  }
  return allRuns(any, all);
}

/** Passes usual packets of one interface, until one comes that is not; returns its place. */
function usual(at: usize, end: usize, frames: usize, metadata: usize, rx: u32): usize {
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const a = load<u64>(ip);
    const b = load<u64>(ip, 8);
    const length: u32 = bswap<u16>(<u16>(a >> 16));
    if ((a & FIXED) != 0x45) break;
    if ((b & 0xff) == 0) break; // TTL
    if (!goodSource(<u32>(b >> 32) & 0xff)) break;
    if (!isRight((a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + <u64>load<u32>(ip, 16))) break;
    if (length < <u32>IP4_BYTES) break;
    if (length > <u32>load<u16>(meta, META_LENGTH)) break;
    if (<u32>load<u16>(meta, META_RX) != rx) break;
    store<u16>(meta, length, META_LENGTH);
    store<u32>(meta, IP4_BYTES | ((<u32>b & 0xff00) << 8), META_L4); // and META_PROTOCOL
  }
  return at;
}

/** Options and fragments; anything wrong, with its reason. Returns the next slot: `slot` if the packet may go on. */
function unusual(node: usize, meta: usize, ip: usize, slot: u32): u32 {
  const available: u32 = load<u16>(meta, META_LENGTH);
  if (available < <u32>IP4_BYTES) return drop(node, meta, IP4_INPUT_TRUNCATED);
  const first: u32 = load<u8>(ip);
  if (first >> 4 != 4) return drop(node, meta, IP4_INPUT_BAD_VERSION);
  const header = (first & 15) << 2;
  if (header < <u32>IP4_BYTES) return drop(node, meta, IP4_INPUT_BAD_HEADER_LENGTH);
  const length: u32 = bswap<u16>(load<u16>(ip, IP4_LENGTH));
  if (length < header) return drop(node, meta, IP4_INPUT_BAD_LENGTH);
  if (length > available) return drop(node, meta, IP4_INPUT_TRUNCATED);
  if (fold(sumBytes(ip, header)) != 0xffff) return drop(node, meta, IP4_INPUT_BAD_CHECKSUM);
  if (!goodSource(load<u8>(ip, IP4_SOURCE))) return drop(node, meta, IP4_INPUT_BAD_SOURCE);
  describe4(meta, ip, header, length);
  if (load<u8>(ip, IP4_TTL) != 0) return slot;
  reason(node, meta, IP4_INPUT_TTL_EXPIRED);
  askIcmpError(meta, ICMP4_TIME_EXCEEDED, 0, 0);
  return ICMP_ERROR;
}

// @ts-ignore: decorator
@inline function drop(node: usize, meta: usize, why: u32): u32 {
  reason(node, meta, why);
  return DROP;
}
