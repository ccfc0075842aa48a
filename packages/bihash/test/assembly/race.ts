/**
 * Reading and writing loops for the test with threads, made of the functions that other packages' kernels import. Key
 * (a, b) is words a, b, a, b, a, with a and b below 2^log2, so that half of one key and half of another make a third;
 * keys of 8 bytes are (a << 32 | b). Value: a, b and 32 changing bits. Keys with a == 0 are never removed.
 */

import { put, remove, search } from '../../assembly/bihash.ts';
import { hashOf } from '../../assembly/hash.ts';
import { NONE } from '../../assembly/page.ts';
import { FULL } from '../../src/layout.ts';

// @ts-ignore: decorator
@inline function first(words: u32, a: u64, b: u64): u64 {
  return words == 1 ? (a << 32) | b : a;
}
// @ts-ignore: decorator
@inline function random(state: u64): u64 {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^ (state << 17);
}
// @ts-ignore: decorator
@inline function read(words: u32, table: usize, log2: u64, seed: u64, steps: u32, errors: usize): void {
  const mask: u64 = (1 << log2) - 1;
  let state = seed;
  for (let i: u32 = 0; i < steps; i++) {
    state = random(state);
    const a = (state >> 8) & mask;
    const b = (state >> 32) & mask;
    const k0 = first(words, a, b);
    const value = search(words, table, hashOf(words, k0, b, a, b, a), k0, b, a, b, a);
    if (value == NONE) {
      if (a == 0) store<u32>(errors, load<u32>(errors) + 1);
    } else if (value >> 32 != ((a << 16) | b)) store<u32>(errors, load<u32>(errors, 4) + 1, 4);
  }
}
// Adds and removes keys in bursts of a whole `a`, so that buckets are emptied, filled, split and freed all the time.
// @ts-ignore: decorator
@inline function write(words: u32, table: usize, log2: u64, seed: u64, steps: u32, errors: usize): void {
  const mask: u64 = (1 << log2) - 1;
  let state = seed;
  for (let i: u32 = 0; i < steps; i++) {
    state = random(state);
    const a = (state >> 8) & mask;
    const add = a == 0 || ((state >> 20) & 1) != 0;
    for (let b: u64 = 0; b <= mask; b++) {
      const k0 = first(words, a, b);
      const hash = hashOf(words, k0, b, a, b, a);
      if (!add) remove(words, table, hash, k0, b, a, b, a);
      else {
        const value = (((a << 16) | b) << 32) | <u64>i;
        if (put(words, table, hash, k0, b, a, b, a, value, true) == FULL) store<u32>(errors, load<u32>(errors, 8) + 1, 8);
      }
    }
  }
}
export function read8(table: usize, log2: u32, seed: u32, steps: u32, errors: usize): void {
  read(1, table, log2, seed, steps, errors);
}
export function read16(table: usize, log2: u32, seed: u32, steps: u32, errors: usize): void {
  read(2, table, log2, seed, steps, errors);
}
export function read24(table: usize, log2: u32, seed: u32, steps: u32, errors: usize): void {
  read(3, table, log2, seed, steps, errors);
}
export function read40(table: usize, log2: u32, seed: u32, steps: u32, errors: usize): void {
  read(5, table, log2, seed, steps, errors);
}
export function write8(table: usize, log2: u32, seed: u32, steps: u32, errors: usize): void {
  write(1, table, log2, seed, steps, errors);
}
export function write16(table: usize, log2: u32, seed: u32, steps: u32, errors: usize): void {
  write(2, table, log2, seed, steps, errors);
}
export function write24(table: usize, log2: u32, seed: u32, steps: u32, errors: usize): void {
  write(3, table, log2, seed, steps, errors);
}
export function write40(table: usize, log2: u32, seed: u32, steps: u32, errors: usize): void {
  write(5, table, log2, seed, steps, errors);
}
