import { arcOf, bufferAt, dataOf, framesOf, metadataOf, metaOf, nextFeature, reason } from '@lbd/graph/assembly/abi.ts';
import {
  FLAG_FIRST_FRAGMENT,
  FLAG_LATER_FRAGMENT,
  META_FLAGS,
  META_L4,
  META_LENGTH,
  META_PROTOCOL,
  PROTOCOL_NONE,
} from '@lbd/graph/src/layout.ts';
import {
  ICMP6_TIME_EXCEEDED,
  IP6_BYTES,
  IP6_EXTENSION_LENGTH,
  IP6_EXTENSION_NEXT,
  IP6_FRAGMENT_BYTES,
  IP6_FRAGMENT_OFFSET,
  IP6_HOP_LIMIT,
  IP6_LENGTH,
  IP6_MAX_EXTENSIONS,
  IP6_NEXT_HEADER,
  IP6_SOURCE,
  PROTOCOL_AH,
  PROTOCOL_DESTINATION_OPTIONS,
  PROTOCOL_FRAGMENT,
  PROTOCOL_HOP_BY_HOP,
  PROTOCOL_ROUTING,
} from '@lbd/packet/src/layout.ts';
import {
  IP6_INPUT_BAD_EXTENSIONS,
  IP6_INPUT_BAD_SOURCE,
  IP6_INPUT_BAD_VERSION,
  IP6_INPUT_HOP_LIMIT_EXCEEDED,
  IP6_INPUT_TRUNCATED,
} from '../src/nodes/places.ts';
import { askIcmpError } from './icmp-error.ts';
import { goodSource6 } from './ip6.ts';
import { allNexts, setNext } from './next.ts';

const DROP: u32 = 0;
const ICMP_ERROR: u32 = 1;

/** Validates the IPv6 header, trims Ethernet padding, walks extension headers and says where the L4 header is. */
export function ip6Input(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const arc = arcOf(node);
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    let slot = DROP;
    if (valid(node, meta, ip)) {
      slot = <u32>nextFeature(arc, meta);
      if (load<u8>(ip, IP6_HOP_LIMIT) == 0) {
        reason(node, meta, IP6_INPUT_HOP_LIMIT_EXCEEDED);
        askIcmpError(meta, ICMP6_TIME_EXCEEDED, 0, 0);
        slot = ICMP_ERROR;
      }
    }
    differ |= setNext(nexts, i, slot);
  }
  return allNexts(nexts, differ);
}

/** Hop limit aside. */
// @ts-ignore: decorator
@inline function valid(node: usize, meta: usize, ip: usize): bool {
  const available: u32 = load<u16>(meta, META_LENGTH);
  if (available < <u32>IP6_BYTES) return drop(node, meta, IP6_INPUT_TRUNCATED);
  if (load<u8>(ip) >> 4 != 6) return drop(node, meta, IP6_INPUT_BAD_VERSION);
  const length = <u32>bswap<u16>(load<u16>(ip, IP6_LENGTH)) + IP6_BYTES;
  if (length > available) return drop(node, meta, IP6_INPUT_TRUNCATED);
  if (!goodSource6(ip + IP6_SOURCE)) return drop(node, meta, IP6_INPUT_BAD_SOURCE);
  store<u16>(meta, length, META_LENGTH);
  const protocol: u32 = load<u8>(ip, IP6_NEXT_HEADER);
  if (isExtension(protocol)) return walk(node, meta, ip, length, protocol);
  store<u16>(meta, IP6_BYTES, META_L4);
  store<u8>(meta, protocol, META_PROTOCOL);
  return true;
}

/** Walks the extension headers (RFC 8200, section 4), at most IP6_MAX_EXTENSIONS and never past the packet's end. */
function walk(node: usize, meta: usize, ip: usize, length: u32, first: u32): bool {
  let protocol = first;
  let offset: u32 = IP6_BYTES;
  let flags: u32 = load<u16>(meta, META_FLAGS);
  for (let n = 0; isExtension(protocol); n++) {
    if (n == IP6_MAX_EXTENSIONS || offset + 8 > length) return drop(node, meta, IP6_INPUT_BAD_EXTENSIONS);
    const header = ip + <usize>offset;
    const size = extensionBytes(protocol, load<u8>(header, IP6_EXTENSION_LENGTH));
    if (offset + size > length) return drop(node, meta, IP6_INPUT_BAD_EXTENSIONS);
    const fragment = protocol == PROTOCOL_FRAGMENT;
    protocol = load<u8>(header, IP6_EXTENSION_NEXT);
    offset += size;
    if (fragment) {
      const word: u32 = bswap<u16>(load<u16>(header, IP6_FRAGMENT_OFFSET));
      if (word & 0xfff8) {
        flags |= FLAG_LATER_FRAGMENT;
        protocol = PROTOCOL_NONE;
        break;
      }
      if (word & 1) flags |= FLAG_FIRST_FRAGMENT; // else atomic (RFC 6946): as if the header were not there
    }
  }
  store<u16>(meta, flags, META_FLAGS);
  store<u16>(meta, offset, META_L4);
  store<u8>(meta, protocol, META_PROTOCOL);
  return true;
}

// @ts-ignore: decorator
@inline function isExtension(protocol: u32): bool {
  return (
    protocol == PROTOCOL_HOP_BY_HOP ||
    protocol == PROTOCOL_ROUTING ||
    protocol == PROTOCOL_FRAGMENT ||
    protocol == PROTOCOL_AH ||
    protocol == PROTOCOL_DESTINATION_OPTIONS
  );
}

// @ts-ignore: decorator
@inline function extensionBytes(protocol: u32, length: u32): u32 {
  if (protocol == PROTOCOL_FRAGMENT) return IP6_FRAGMENT_BYTES;
  return protocol == PROTOCOL_AH ? (length + 2) << 2 : (length + 1) << 3;
}

// @ts-ignore: decorator
@inline function drop(node: usize, meta: usize, why: u32): bool {
  reason(node, meta, why);
  return false;
}
