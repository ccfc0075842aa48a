/** The IPv6 FIB, for kernels. Layout: src/layout.ts; written by src/fib6.ts. */
import { hash24, search24 } from '@lbd/bihash/assembly/bihash24.ts';
import { NONE } from '@lbd/bihash/assembly/page.ts';
import {
  DPO_DROP,
  DPO_SHIFT,
  DROP_NO_ROUTE,
  FIB6_FILTER,
  FIB6_FILTER_SHIFT,
  FIB6_LAST_AT,
  FIB6_LAST_DPO,
  FIB6_LENGTHS,
  FIB6_TABLE,
  LENGTHS_COUNT,
  LENGTHS_FIRST,
  LENGTHS_LENGTH,
  LENGTHS_MASK,
  LENGTHS_SALT,
  LENGTHS_STRIDE,
} from '../src/layout.ts';

/** As in src/fib6.ts. */
const FILTER_FACTOR: u64 = 0x9e3779b97f4a7c15;

/** DPO of the longest prefix that the IPv6 address at `address` (16 bytes, network order) lies in. */
export function fib6Lookup(fib: usize, address: usize): u32 {
  return lookup(false, fib, address, 0);
}
/**
 * The same for many packets, one after the other: `last` is the address of FIB6_LAST_BYTES of memory, where FIB6_LAST_AT was zero before
 * the first one. It remembers the last prefix, for no longer than a vector: most packets go by the same ones, and need the
 * filter alone.
 */
export function fib6LookupNext(fib: usize, address: usize, last: usize): u32 {
  return lookup(true, fib, address, last);
}

// @ts-ignore: decorator
@inline function lookup(remember: bool, fib: usize, address: usize, last: usize): u32 {
  const table: usize = load<u32>(fib, FIB6_TABLE);
  const filter: usize = load<u32>(fib, FIB6_FILTER);
  const shift: u64 = load<u32>(fib, FIB6_FILTER_SHIFT);
  const list: usize = load<u32>(fib, FIB6_LENGTHS);
  const high = load<u64>(address);
  const low = load<u64>(address, 8);
  const end = list + LENGTHS_FIRST + <usize>load<u32>(list, LENGTHS_COUNT) * LENGTHS_STRIDE;
  for (let at = list + LENGTHS_FIRST; at < end; at += LENGTHS_STRIDE) {
    const k0 = high & load<u64>(at, LENGTHS_MASK);
    const k1 = low & load<u64>(at, LENGTHS_MASK + 8);
    if (remember && load<u32>(last, FIB6_LAST_AT) == <u32>at) {
      if (k0 == load<u64>(last) && k1 == load<u64>(last, 8)) return load<u32>(last, FIB6_LAST_DPO);
    }
    // Most lengths don't have the address: the filter says so after one multiplication, without a look into the table.
    if (load<u8>(filter + <usize>(((k0 ^ k1 ^ load<u64>(at, LENGTHS_SALT)) * FILTER_FACTOR) >> shift)) == 0) continue;
    const k2 = load<u64>(at, LENGTHS_LENGTH);
    const found = search24(table, hash24(k0, k1, k2), k0, k1, k2);
    if (found == NONE) continue;
    if (remember) {
      store<u64>(last, k0);
      store<u64>(last, k1, 8);
      store<u32>(last, <u32>at, FIB6_LAST_AT);
      store<u32>(last, <u32>found, FIB6_LAST_DPO);
    }
    return <u32>found;
  }
  return (DPO_DROP << DPO_SHIFT) | DROP_NO_ROUTE;
}
