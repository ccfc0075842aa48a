/**
 * The flow hash, for kernels. `flow` is the address of a FlowHash of this package. Addresses are hashed as they lie in the
 * header; `ports` is the u32 that the first four bytes of the TCP or UDP header make, loaded little-endian, and 0 for
 * other protocols. Two hashes:
 *
 * CRC-32C as VPP computes it: initial value 0, no final xor, over five words [addresses, ports]. The CRC is linear over
 * xor, so it is the xor of what each byte at its position contributes: one load each, none waiting for another.
 *
 * SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the variant with 1 and 3 rounds is what
 * Linux, Rust and CPython protect hash tables with), the low 32 bits. Of the keyed hashes it suits WebAssembly: it needs
 * 64-bit adds, rotations and xors only. Messages: addresses, then the four bytes of the ports.
 */
import { FLOW_KEY, FLOW_KEYED, FLOW_KIND, FLOW_POSITIONS, FLOW_TABLES, FLOW_TABLE_SHIFT } from '../src/layout.ts';

/** True if the keyed hash was chosen. Load once per vector. */
// @ts-ignore: decorator
@inline export function flowKeyed(flow: usize): bool {
  return load<u32>(flow, FLOW_KIND) == FLOW_KEYED;
}

/** `addresses`: the eight bytes of source and destination in the IPv4 header. `ports` 0 for a VIP with src_ip_sticky. */
// @ts-ignore: decorator
@inline export function flowHash4(flow: usize, keyed: bool, addresses: u64, ports: u32): u32 {
  return keyed ? sipHash4(flow, addresses, ports) : crcHash4(flow, addresses, ports);
}
/** `addresses`: where the 32 bytes of source and destination in the IPv6 header are. */
// @ts-ignore: decorator
@inline export function flowHash6(flow: usize, keyed: bool, addresses: usize, ports: u32): u32 {
  return keyed ? sipHash6(flow, addresses, ports) : crcHash6(flow, addresses, ports);
}
/** The same for a VIP with src_ip_sticky: the ports are left out. */
// @ts-ignore: decorator
@inline export function flowHash6Sticky(flow: usize, keyed: bool, addresses: usize): u32 {
  return keyed ? sipHash6(flow, addresses, 0) : crcHash6Sticky(flow, addresses);
}

// ---- CRC-32C -------------------------------------------------------------------------------------------------------

/** What byte `i` of a word contributes, if `after` bytes follow the word. */
// @ts-ignore: decorator
@inline function byteOf(flow: usize, word: u64, i: u64, after: usize): u32 {
  const at = flow + (<usize>((word >> (i << 3)) & 0xff) << 2);
  return load<u32>(at + ((after + 7 - <usize>i) << FLOW_TABLE_SHIFT), FLOW_TABLES);
}
// @ts-ignore: decorator
@inline function wordOf(flow: usize, word: u64, after: usize): u32 {
  return (
    (byteOf(flow, word, 0, after) ^ byteOf(flow, word, 1, after)) ^
    (byteOf(flow, word, 2, after) ^ byteOf(flow, word, 3, after)) ^
    ((byteOf(flow, word, 4, after) ^ byteOf(flow, word, 5, after)) ^
      (byteOf(flow, word, 6, after) ^ byteOf(flow, word, 7, after)))
  );
}
/** The word of the ports: (source << 16 | destination), each as loaded little-endian; its high half is 0. */
// @ts-ignore: decorator
@inline function portsOf(flow: usize, ports: u32, after: usize): u32 {
  const word = <u64>rotl<u32>(ports, 16);
  return (
    (byteOf(flow, word, 0, after) ^ byteOf(flow, word, 1, after)) ^
    (byteOf(flow, word, 2, after) ^ byteOf(flow, word, 3, after))
  );
}
// @ts-ignore: decorator
@inline function crcHash4(flow: usize, addresses: u64, ports: u32): u32 {
  return wordOf(flow, addresses, 32) ^ portsOf(flow, ports, 24);
}
// @ts-ignore: decorator
@inline function crcHash6(flow: usize, addresses: usize, ports: u32): u32 {
  return (
    wordOf(flow, load<u64>(addresses), 32) ^
    wordOf(flow, load<u64>(addresses, 8), 24) ^
    wordOf(flow, load<u64>(addresses, 16), 16) ^
    wordOf(flow, load<u64>(addresses, 24), 8) ^
    portsOf(flow, ports, 0)
  );
}
// @ts-ignore: decorator
@inline function crcHash6Sticky(flow: usize, addresses: usize): u32 {
  return (
    wordOf(flow, load<u64>(addresses), 24) ^
    wordOf(flow, load<u64>(addresses, 8), 16) ^
    wordOf(flow, load<u64>(addresses, 16), 8) ^
    wordOf(flow, load<u64>(addresses, 24), 0)
  );
}

/** Builds the tables of a FlowHash: 40 x 256 words, each from the one of the position before by one zero byte. */
export function build_tables(flow: usize): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
    store<u32>(flow + (<usize>byte << 2), crc, FLOW_TABLES);
  }
  for (let position: usize = 1; position < <usize>FLOW_POSITIONS; position++) {
    for (let byte: usize = 0; byte < 256; byte++) {
      const at = flow + (position << FLOW_TABLE_SHIFT) + (byte << 2);
      const crc = load<u32>(at - (1 << FLOW_TABLE_SHIFT), FLOW_TABLES);
      store<u32>(at, (crc >> 8) ^ load<u32>(flow + (<usize>(crc & 0xff) << 2), FLOW_TABLES), FLOW_TABLES);
    }
  }
}

// ---- SipHash-1-3 ---------------------------------------------------------------------------------------------------
// The four words of state are locals of each hash; a round is spelled out because a function has one result.

// @ts-ignore: decorator
@inline function sipHash4(flow: usize, addresses: u64, ports: u32): u32 {
  const k0 = load<u64>(flow, FLOW_KEY);
  const k1 = load<u64>(flow, FLOW_KEY + 8);
  let a = k0 ^ 0x736f6d6570736575;
  let b = k1 ^ 0x646f72616e646f6d;
  let c = k0 ^ 0x6c7967656e657261;
  let d = k1 ^ 0x7465646279746573;
  d ^= addresses;
  a += b; c += d; b = rotl<u64>(b, 13) ^ a; d = rotl<u64>(d, 16) ^ c; a = rotl<u64>(a, 32);
  c += b; a += d; b = rotl<u64>(b, 17) ^ c; d = rotl<u64>(d, 21) ^ a; c = rotl<u64>(c, 32);
  a ^= addresses;
  // The last block has the length, 12 bytes, in its top byte.
  const last = <u64>ports | (<u64>12 << 56);
  d ^= last;
  a += b; c += d; b = rotl<u64>(b, 13) ^ a; d = rotl<u64>(d, 16) ^ c; a = rotl<u64>(a, 32);
  c += b; a += d; b = rotl<u64>(b, 17) ^ c; d = rotl<u64>(d, 21) ^ a; c = rotl<u64>(c, 32);
  a ^= last;
  c ^= 0xff;
  a += b; c += d; b = rotl<u64>(b, 13) ^ a; d = rotl<u64>(d, 16) ^ c; a = rotl<u64>(a, 32);
  c += b; a += d; b = rotl<u64>(b, 17) ^ c; d = rotl<u64>(d, 21) ^ a; c = rotl<u64>(c, 32);
  a += b; c += d; b = rotl<u64>(b, 13) ^ a; d = rotl<u64>(d, 16) ^ c; a = rotl<u64>(a, 32);
  c += b; a += d; b = rotl<u64>(b, 17) ^ c; d = rotl<u64>(d, 21) ^ a; c = rotl<u64>(c, 32);
  a += b; c += d; b = rotl<u64>(b, 13) ^ a; d = rotl<u64>(d, 16) ^ c; a = rotl<u64>(a, 32);
  c += b; a += d; b = rotl<u64>(b, 17) ^ c; d = rotl<u64>(d, 21) ^ a; c = rotl<u64>(c, 32);
  return <u32>(a ^ b ^ c ^ d);
}
/** Not inlined: eight rounds are long, and a call is little beside them. */
export function sipHash6(flow: usize, addresses: usize, ports: u32): u32 {
  const k0 = load<u64>(flow, FLOW_KEY);
  const k1 = load<u64>(flow, FLOW_KEY + 8);
  let a = k0 ^ 0x736f6d6570736575;
  let b = k1 ^ 0x646f72616e646f6d;
  let c = k0 ^ 0x6c7967656e657261;
  let d = k1 ^ 0x7465646279746573;
  for (let round = 0; round < 8; round++) {
    let m: u64 = 0;
    if (round < 4) m = load<u64>(addresses + (<usize>round << 3));
    else if (round == 4) m = <u64>ports | (<u64>36 << 56);
    if (round == 5) c ^= 0xff;
    d ^= m;
    a += b; c += d; b = rotl<u64>(b, 13) ^ a; d = rotl<u64>(d, 16) ^ c; a = rotl<u64>(a, 32);
    c += b; a += d; b = rotl<u64>(b, 17) ^ c; d = rotl<u64>(d, 21) ^ a; c = rotl<u64>(c, 32);
    a ^= m;
  }
  return <u32>(a ^ b ^ c ^ d);
}
