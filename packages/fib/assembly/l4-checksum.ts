import { arcOf, bufferAt, count as addTo, dataOf, framesOf, metadataOf, metaOf, nextFeature } from '@lbd/graph/assembly/abi.ts';
import {
  FLAG_FIRST_FRAGMENT,
  FLAG_LATER_FRAGMENT,
  META_FLAGS,
  META_L4,
  META_LENGTH,
  META_PROTOCOL,
} from '@lbd/graph/src/layout.ts';
import { fold, sum16, sum8, sumBytes } from '@lbd/packet/assembly/checksum.ts';
import {
  IP4_SOURCE,
  IP6_SOURCE,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_BYTES,
  TCP_CHECKSUM,
  UDP_BYTES,
  UDP_CHECKSUM,
} from '@lbd/packet/src/layout.ts';
import { L4_CHECKSUM_COMPLETED } from '../src/nodes/places.ts';
import { allNexts, setNext } from './next.ts';

/**
 * Completes partial checksums. A sender that leaves the checksum to hardware writes the sum of the pseudo-header into the
 * field, folded, not complemented. The same happens by chance to one right checksum in 65536; completing that one
 * gives it again: its field equals the pseudo-header's sum, so that sum in the field's place adds up to the same.
 */
export function l4Checksum4(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return l4Checksum(node, vector, count, nexts, 4);
}
export function l4Checksum6(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  return l4Checksum(node, vector, count, nexts, 6);
}

// @ts-ignore: decorator
@inline function l4Checksum(node: usize, vector: usize, count: i32, nexts: usize, family: u32): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const arc = arcOf(node);
  let differ: u32 = 0;
  let completed: u64 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    completed += <u64>complete(meta, dataOf(frames, buffer, meta), family);
    differ |= setNext(nexts, i, nextFeature(arc, meta));
  }
  if (completed) addTo(node, L4_CHECKSUM_COMPLETED, completed);
  return allNexts(nexts, differ);
}

/** Returns 1 if the packet's checksum was partial. */
// @ts-ignore: decorator
@inline function complete(meta: usize, ip: usize, family: u32): u32 {
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  const tcp = protocol == PROTOCOL_TCP;
  if (!tcp && protocol != PROTOCOL_UDP) return 0;
  if (load<u16>(meta, META_FLAGS) & (FLAG_LATER_FRAGMENT | FLAG_FIRST_FRAGMENT)) return 0;
  const offset: u32 = load<u16>(meta, META_L4);
  const bytes = <u32>load<u16>(meta, META_LENGTH) - offset; // offset <= length: the IP input nodes made sure
  if (bytes < <u32>(tcp ? TCP_BYTES : UDP_BYTES)) return 0;
  return completeL4(family == 6, ip, ip + <usize>offset, bytes, protocol);
}

/** Completes the checksum of a whole TCP or UDP packet, of `bytes` from its L4 header on, if it is partial; returns 1 if it was. */
// @ts-ignore: decorator
@inline export function completeL4(six: bool, ip: usize, l4: usize, bytes: u32, protocol: u32): u32 {
  const tcp = protocol == PROTOCOL_TCP;
  const field = l4 + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
  const addresses = six ? sum16(ip + IP6_SOURCE) + sum16(ip + IP6_SOURCE + 16) : sum8(ip + IP4_SOURCE);
  // protocol and length are the low bytes of big-endian words
  const pseudo = fold(addresses + <u64>(protocol << 8) + <u64>bswap<u16>(<u16>bytes));
  if (<u32>load<u16>(field) != pseudo) return 0;
  let checksum = ~fold(sumBytes(l4, bytes)) & 0xffff;
  if (!tcp && checksum == 0) checksum = 0xffff; // RFC 768
  store<u16>(field, checksum);
  return 1;
}
