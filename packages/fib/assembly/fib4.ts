/** The IPv4 mtrie, for kernels. Layout: src/layout.ts; written by src/fib4.ts. */
import { FIB4_LEAF, FIB4_ROOT } from '../src/layout.ts';

/** DPO of the longest prefix that the IPv4 address at `address` (4 bytes, network order) lies in. */
// @ts-ignore: decorator
@inline export function fib4Lookup(fib: usize, address: usize): u32 {
  let entry = fib4Root(fib, address);
  if (entry < <u32>FIB4_LEAF) {
    entry = fib4Ply(entry, load<u8>(address, 2));
    if (entry < <u32>FIB4_LEAF) entry = fib4Ply(entry, load<u8>(address, 3));
  }
  return entry & 0x7fffffff;
}
/** The root's entry for an address. */
// @ts-ignore: decorator
@inline export function fib4Root(fib: usize, address: usize): u32 {
  return load<u32>(fib + (<usize>load<u16>(address) << 2), FIB4_ROOT);
}
/** An entry of the ply that another entry names. */
// @ts-ignore: decorator
@inline export function fib4Ply(entry: u32, byte: u32): u32 {
  return load<u32>(<usize>(entry + byte) << 2);
}
