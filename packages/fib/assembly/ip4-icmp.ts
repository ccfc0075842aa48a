/** ICMP that lbd sends (RFC 792, RFC 1122 section 3.2.2, RFC 1812 section 4.3). */
import {
  FLAG_FIRST_FRAGMENT,
  FLAG_LATER_FRAGMENT,
  META_DATA,
  META_FLAGS,
  META_L4,
  META_LENGTH,
  META_PROTOCOL,
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
import { writeIcmpError } from './icmp-error.ts';
import { goodSource, writeIp4 } from './ip4.ts';
import { MADE_AT, made } from './made.ts';

/** EtherType as loaded: a packet may have come in a tunnel of the other family. */
const TYPE_IP4: u32 = 0x0008;
const TTL_OF_ERRORS: u32 = 255;
const TTL_OF_REPLIES: u32 = 64;
/** A bit for each type of ICMP message that is an error. */
const ERRORS: u32 =
  (1 << ICMP4_UNREACHABLE) |
  (1 << ICMP4_SOURCE_QUENCH) |
  (1 << ICMP4_REDIRECT) |
  (1 << ICMP4_TIME_EXCEEDED) |
  (1 << ICMP4_PARAMETER_PROBLEM);

/** RFC 1122, section 3.2.2: which packets no error is sent about. */
export function mayBeAnswered4(meta: usize, ip: usize): bool {
  if (load<u16>(meta, META_FLAGS) & FLAG_LATER_FRAGMENT) return false;
  if (!goodSource(load<u8>(ip, IP4_SOURCE)) || load<u8>(ip, IP4_DESTINATION) >= 224) return false;
  if (load<u8>(meta, META_PROTOCOL) != PROTOCOL_ICMP4) return true;
  const l4: usize = load<u16>(meta, META_L4);
  if (<usize>load<u16>(meta, META_LENGTH) <= l4) return false;
  const type: u32 = load<u8>(ip + l4, ICMP_TYPE);
  return type > 31 || ((ERRORS >> type) & 1) == 0;
}

/** Quotes as much of the packet at `ip` as an error takes, and puts the headers in front, at `out`. `source`: an address. */
export function makeError4(meta: usize, ip: usize, out: usize, source: usize): void {
  const most: u32 = ICMP4_ERROR_BYTES - IP4_BYTES - ICMP_BYTES;
  const came: u32 = load<u16>(meta, META_LENGTH);
  const quoted = came < most ? came : most;
  const length = IP4_BYTES + ICMP_BYTES + quoted;
  const to = load<u32>(ip, IP4_SOURCE);
  memory.copy(out + IP4_BYTES + ICMP_BYTES, ip, quoted);
  store<u16>(out - 2, TYPE_IP4);
  writeIp4(out, length, 0, 0, 0, TTL_OF_ERRORS, PROTOCOL_ICMP4, load<u32>(source), to);
  writeIcmpError(out + IP4_BYTES, meta, quoted, 0);
  store<u16>(meta, MADE_AT, META_DATA);
  made(meta, length, IP4_BYTES, PROTOCOL_ICMP4);
}

/**
 * Makes an echo request its reply (RFC 1122, section 3.2.2.6), without the request's IP options; false if it is none. The
 * checksum is updated, so that damage stays visible.
 */
export function reply4(meta: usize, ip: usize): bool {
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
