/** The bihash with keys of 16 bytes, two words, for kernels. Why readers need no lock: bihash.ts. */
import { hashOf } from './hash.ts';
import { put, remove, search, touch } from './bihash.ts';

/** Hash of a key; the other functions want it, so that a vector's hashes can be computed once. */
// @ts-ignore: decorator
@inline export function hash16(k0: u64, k1: u64): u32 {
  return hashOf(2, k0, k1, 0, 0, 0);
}
/** Loads the lines that a search will want; returns something to add up and store, so that no compiler drops it. */
// @ts-ignore: decorator
@inline export function touch16(table: usize, hash: u32): u64 {
  return touch(2, table, hash);
}
/** Returns the key's value, or NONE (2^64 - 1, of page.ts). */
// @ts-ignore: decorator
@inline export function search16(table: usize, hash: u32, k0: u64, k1: u64): u64 {
  return search(2, table, hash, k0, k1, 0, 0, 0);
}
/** Adds a key or replaces its value. Returns ADDED, EXISTED, FULL or BAD_VALUE (layout.ts). */
export function add16(table: usize, hash: u32, k0: u64, k1: u64, value: u64): i32 {
  return put(2, table, hash, k0, k1, 0, 0, 0, value, true);
}
/** Adds a key; if it is there, leaves it and returns EXISTED. Otherwise as add16. */
export function insert16(table: usize, hash: u32, k0: u64, k1: u64, value: u64): i32 {
  return put(2, table, hash, k0, k1, 0, 0, 0, value, false);
}
/** Removes a key. Returns 0, or MISSING. */
export function del16(table: usize, hash: u32, k0: u64, k1: u64): i32 {
  return remove(2, table, hash, k0, k1, 0, 0, 0);
}
