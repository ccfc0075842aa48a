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
