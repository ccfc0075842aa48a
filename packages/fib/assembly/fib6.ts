/** The IPv6 FIB, for kernels. Layout: src/layout.ts; written by src/fib6.ts. */
import { hash24, search24 } from '@lbd/bihash/assembly/bihash24.ts';
import { NONE } from '@lbd/bihash/assembly/page.ts';
import {
  DPO_DROP,
  DPO_SHIFT,
  DROP_NO_ROUTE,
  FIB6_LENGTHS,
  FIB6_TABLE,
  LENGTHS_COUNT,
  LENGTHS_FIRST,
  LENGTHS_LENGTH,
  LENGTHS_MASK,
  LENGTHS_STRIDE,
} from '../src/layout.ts';

/** DPO of the longest prefix that the IPv6 address at `address` (16 bytes, network order) lies in. */
export function fib6Lookup(fib: usize, address: usize): u32 {
  const table: usize = load<u32>(fib, FIB6_TABLE);
  const list: usize = load<u32>(fib, FIB6_LENGTHS);
  const high = load<u64>(address);
  const low = load<u64>(address, 8);
  const end = list + LENGTHS_FIRST + <usize>load<u32>(list, LENGTHS_COUNT) * LENGTHS_STRIDE;
  for (let at = list + LENGTHS_FIRST; at < end; at += LENGTHS_STRIDE) {
    const k0 = high & load<u64>(at, LENGTHS_MASK);
    const k1 = low & load<u64>(at, LENGTHS_MASK + 8);
    const k2 = load<u64>(at, LENGTHS_LENGTH);
    const found = search24(table, hash24(k0, k1, k2), k0, k1, k2);
    if (found != NONE) return <u32>found;
  }
  return (DPO_DROP << DPO_SHIFT) | DROP_NO_ROUTE;
}
