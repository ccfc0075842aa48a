/** What several nodes do with IPv4 headers. */
import {
  FLAG_FIRST_FRAGMENT,
  FLAG_LATER_FRAGMENT,
  META_FLAGS,
  META_L4,
  META_LENGTH,
  META_PROTOCOL,
  PROTOCOL_NONE,
} from '@lbd/graph/src/layout.ts';
import { fold, sum20 } from '@lbd/packet/assembly/checksum.ts';
import {
  IP4_BYTES,
  IP4_CHECKSUM,
  IP4_DESTINATION,
  IP4_FRAGMENT,
  IP4_ID,
  IP4_LENGTH,
  IP4_MF,
  IP4_OFFSET_MASK,
  IP4_PROTOCOL,
  IP4_SOURCE,
  IP4_TOS,
  IP4_TTL,
} from '@lbd/packet/src/layout.ts';

/** Not 0.0.0.0/8, 127.0.0.0/8, nor 224.0.0.0 and above (RFC 1812, section 5.3.7), by the first byte. */
// @ts-ignore: decorator
@inline export function goodSource(first: u32): bool {
  return first - 1 < 223 && first != 127;
}

/** Writes to the metadata how long the packet is, where its L4 header, and which fragment it is. */
export function describe4(meta: usize, ip: usize, header: u32, length: u32): void {
  const fragment: u32 = bswap<u16>(load<u16>(ip, IP4_FRAGMENT));
  let protocol: u32 = load<u8>(ip, IP4_PROTOCOL);
  if (fragment & IP4_OFFSET_MASK) {
    protocol = PROTOCOL_NONE;
    store<u16>(meta, load<u16>(meta, META_FLAGS) | FLAG_LATER_FRAGMENT, META_FLAGS);
  } else if (fragment & IP4_MF) store<u16>(meta, load<u16>(meta, META_FLAGS) | FLAG_FIRST_FRAGMENT, META_FLAGS);
  store<u16>(meta, length, META_LENGTH);
  store<u16>(meta, header, META_L4);
  store<u8>(meta, protocol, META_PROTOCOL);
}

/** Writes a header without options. `id` and `fragment` are in wire order, as are the addresses. */
// @ts-ignore: decorator
@inline export function writeIp4(
  ip: usize,
  length: u32,
  tos: u32,
  id: u32,
  fragment: u32,
  ttl: u32,
  protocol: u32,
  source: u32,
  destination: u32,
): void {
  store<u8>(ip, 0x45);
  store<u8>(ip, tos, IP4_TOS);
  store<u16>(ip, bswap<u16>(<u16>length), IP4_LENGTH);
  store<u16>(ip, id, IP4_ID);
  store<u16>(ip, fragment, IP4_FRAGMENT);
  store<u8>(ip, ttl, IP4_TTL);
  store<u8>(ip, protocol, IP4_PROTOCOL);
  store<u16>(ip, 0, IP4_CHECKSUM);
  store<u32>(ip, source, IP4_SOURCE);
  store<u32>(ip, destination, IP4_DESTINATION);
  store<u16>(ip, ~fold(sum20(ip)), IP4_CHECKSUM);
}
