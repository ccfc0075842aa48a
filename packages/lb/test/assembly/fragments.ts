/** The functions of assembly/fragments.ts and icmp.ts as kernels, for tests; and loops for the test with threads. */
import {
  clientAddresses4,
  clientAddresses6,
  clientPorts,
  isToQuotedSource,
  quotationOf,
  quotedHasPorts,
  quotedIp,
  quotedL4,
  quotedProtocol,
} from '../../assembly/icmp.ts';
import {
  findChoice,
  findFragments,
  isOverlapping,
  isTinyFirst,
  rememberChoice,
  rememberFragments,
} from '../../assembly/fragments.ts';

export function remember(lb: usize, ip: usize, meta: usize, now: u32, value: u64): void {
  rememberFragments(lb, ip, meta, now, value);
}
export function find(lb: usize, ip: usize, meta: usize, now: u32): u64 {
  return findFragments(lb, ip, meta, now);
}
export function remember_choice(lb: usize, ip: usize, meta: usize, now: u32): void {
  rememberChoice(lb, ip, meta, now);
}
export function find_choice(lb: usize, ip: usize, meta: usize, now: u32): u64 {
  return findChoice(lb, ip, meta, now);
}
export function tiny(meta: usize): bool {
  return isTinyFirst(meta);
}
export function overlapping(ip: usize, meta: usize): bool {
  return isOverlapping(ip, meta);
}
/** Writes what an ICMP error quotes: u32 ip, l4, protocol, has ports, ports, to quoted source; then the addresses. */
export function quotation(ip: usize, meta: usize, out: usize): bool {
  const word = quotationOf(ip, meta);
  if (word == 0) return false;
  store<u32>(out, <u32>quotedIp(word));
  store<u32>(out, <u32>quotedL4(word), 4);
  store<u32>(out, quotedProtocol(word), 8);
  store<u32>(out, quotedHasPorts(word), 12);
  store<u32>(out, clientPorts(ip, word), 16);
  store<u32>(out, isToQuotedSource(ip, word), 20);
  if (load<u8>(ip) >> 4 == 4) store<u64>(out, clientAddresses4(ip, word), 24);
  else clientAddresses6(ip, word, out + 24);
  return true;
}

// ---- Loops for the test with threads: IPv6 fragments of datagrams (a, b), a and b below 2^log2 ---------------------------

// @ts-ignore: decorator
@inline function random(state: u64): u64 {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^ (state << 17);
}
/** Every word of the key is of one half of the name only, so that two keys' halves make a third. */
// @ts-ignore: decorator
@inline function writePacket(ip: usize, meta: usize, a: u64, b: u64): void {
  store<u32>(ip, 0x60);
  store<u8>(ip, 44, 6);
  for (let i: usize = 0; i < 2; i++) {
    store<u64>(ip + (i << 4), a, 8);
    store<u64>(ip + (i << 4), b, 16);
  }
  store<u32>(ip, 17, 40);
  store<u32>(ip, <u32>(a + b), 44);
  store<u16>(meta, 48, 2); // META_LENGTH
}
/** `packet`: room for meta and packet. `errors`: u32 wrong, u32 hits. */
export function race_read(lb: usize, log2: u64, seed: u64, steps: u32, packet: usize, errors: usize): void {
  const mask: u64 = (1 << log2) - 1;
  let state = seed;
  for (let i: u32 = 0; i < steps; i++) {
    state = random(state);
    const a = (state >> 8) & mask;
    const b = (state >> 32) & mask;
    writePacket(packet + 64, packet, a, b);
    const value = findFragments(lb, packet + 64, packet, 1);
    if (value == 0) continue;
    store<u32>(errors, load<u32>(errors, 4) + 1, 4);
    if (value >> 32 != ((a << 16) | b | 0x80000000)) store<u32>(errors, load<u32>(errors) + 1);
  }
}
export function race_write(lb: usize, log2: u64, seed: u64, steps: u32, packet: usize, errors: usize): void {
  const mask: u64 = (1 << log2) - 1;
  let state = seed;
  for (let i: u32 = 0; i < steps; i++) {
    state = random(state);
    const a = (state >> 8) & mask;
    const b = (state >> 32) & mask;
    writePacket(packet + 64, packet, a, b);
    rememberFragments(lb, packet + 64, packet, 1, (((a << 16) | b | 0x80000000) << 32) | <u64>i);
  }
}
