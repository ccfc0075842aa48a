/** ICMPv6 that lbd sends (RFC 4443). */
import {
  FLAG_FIRST_FRAGMENT,
  FLAG_LATER_FRAGMENT,
  META_DATA,
  META_FLAGS,
  META_L4,
  META_LENGTH,
  META_PROTOCOL,
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
import { askedType, writeIcmpError } from './icmp-error.ts';
import { goodSource6 } from './ip6.ts';
import { MADE_AT, made } from './made.ts';

/** EtherType as loaded: a packet may have come in a tunnel of the other family. */
const TYPE_IP6: u32 = 0xdd86;
const HOP_LIMIT_OF_ERRORS: u32 = 255;
const HOP_LIMIT_OF_REPLIES: u32 = 64;
/** Version and traffic class, of the word that they share with the flow label, as loaded. */
const VERSION_AND_CLASS: u32 = 0xf0ff;
const VERSION: u32 = 0x60;

/** RFC 4443, section 2.4 (e): which packets no error is sent about. */
export function mayBeAnswered6(meta: usize, ip: usize): bool {
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

/** Quotes as much of the packet at `ip` as an error takes, and puts the headers in front, at `out`. `source`: an address. */
export function makeError6(meta: usize, ip: usize, out: usize, source: usize): void {
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

/**
 * Makes an echo request its reply (RFC 4443, section 4.2), without the request's extension headers; false if it is none.
 * The checksum is updated, so that damage stays visible.
 */
export function reply6(meta: usize, ip: usize): bool {
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
