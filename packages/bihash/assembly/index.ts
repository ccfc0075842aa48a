/** What the module exports, for TypeScript and for tests: the functions of each key size, with the key in memory or in words. */
import * as b8 from './bihash8.ts';
import * as b16 from './bihash16.ts';
import * as b24 from './bihash24.ts';
import * as b40 from './bihash40.ts';
import { NONE } from './page.ts';

// ---- 8 bytes ---------------------------------------------------------------------------------------------------------------

/** Writes the value of the key at `key` to `value` and returns 1, or returns 0. */
export function search8(table: usize, key: usize, value: usize): i32 {
  const found = get8(table, load<u64>(key));
  if (found == NONE) return 0;
  store<u64>(value, found);
  return 1;
}
export function add8(table: usize, key: usize, value: usize): i32 {
  return set8(table, load<u64>(key), load<u64>(value));
}
export function del8(table: usize, key: usize): i32 {
  return remove8(table, load<u64>(key));
}
export function get8(table: usize, k0: u64): u64 {
  return b8.search8(table, b8.hash8(k0), k0);
}
export function set8(table: usize, k0: u64, value: u64): i32 {
  return b8.add8(table, b8.hash8(k0), k0, value);
}
export function insert8(table: usize, k0: u64, value: u64): i32 {
  return b8.insert8(table, b8.hash8(k0), k0, value);
}
export function remove8(table: usize, k0: u64): i32 {
  return b8.del8(table, b8.hash8(k0), k0);
}

// ---- 16 bytes --------------------------------------------------------------------------------------------------------------

/** Writes the value of the key at `key` to `value` and returns 1, or returns 0. */
export function search16(table: usize, key: usize, value: usize): i32 {
  const found = get16(table, load<u64>(key), load<u64>(key, 8));
  if (found == NONE) return 0;
  store<u64>(value, found);
  return 1;
}
export function add16(table: usize, key: usize, value: usize): i32 {
  return set16(table, load<u64>(key), load<u64>(key, 8), load<u64>(value));
}
export function del16(table: usize, key: usize): i32 {
  return remove16(table, load<u64>(key), load<u64>(key, 8));
}
export function get16(table: usize, k0: u64, k1: u64): u64 {
  return b16.search16(table, b16.hash16(k0, k1), k0, k1);
}
export function set16(table: usize, k0: u64, k1: u64, value: u64): i32 {
  return b16.add16(table, b16.hash16(k0, k1), k0, k1, value);
}
export function insert16(table: usize, k0: u64, k1: u64, value: u64): i32 {
  return b16.insert16(table, b16.hash16(k0, k1), k0, k1, value);
}
export function remove16(table: usize, k0: u64, k1: u64): i32 {
  return b16.del16(table, b16.hash16(k0, k1), k0, k1);
}

// ---- 24 bytes --------------------------------------------------------------------------------------------------------------

/** Writes the value of the key at `key` to `value` and returns 1, or returns 0. */
export function search24(table: usize, key: usize, value: usize): i32 {
  const found = get24(table, load<u64>(key), load<u64>(key, 8), load<u64>(key, 16));
  if (found == NONE) return 0;
  store<u64>(value, found);
  return 1;
}
export function add24(table: usize, key: usize, value: usize): i32 {
  return set24(table, load<u64>(key), load<u64>(key, 8), load<u64>(key, 16), load<u64>(value));
}
export function del24(table: usize, key: usize): i32 {
  return remove24(table, load<u64>(key), load<u64>(key, 8), load<u64>(key, 16));
}
export function get24(table: usize, k0: u64, k1: u64, k2: u64): u64 {
  return b24.search24(table, b24.hash24(k0, k1, k2), k0, k1, k2);
}
export function set24(table: usize, k0: u64, k1: u64, k2: u64, value: u64): i32 {
  return b24.add24(table, b24.hash24(k0, k1, k2), k0, k1, k2, value);
}
export function insert24(table: usize, k0: u64, k1: u64, k2: u64, value: u64): i32 {
  return b24.insert24(table, b24.hash24(k0, k1, k2), k0, k1, k2, value);
}
export function remove24(table: usize, k0: u64, k1: u64, k2: u64): i32 {
  return b24.del24(table, b24.hash24(k0, k1, k2), k0, k1, k2);
}

// ---- 40 bytes --------------------------------------------------------------------------------------------------------------

/** Writes the value of the key at `key` to `value` and returns 1, or returns 0. */
export function search40(table: usize, key: usize, value: usize): i32 {
  const found = get40(table, load<u64>(key), load<u64>(key, 8), load<u64>(key, 16), load<u64>(key, 24), load<u64>(key, 32));
  if (found == NONE) return 0;
  store<u64>(value, found);
  return 1;
}
export function add40(table: usize, key: usize, value: usize): i32 {
  return set40(table, load<u64>(key), load<u64>(key, 8), load<u64>(key, 16), load<u64>(key, 24), load<u64>(key, 32), load<u64>(value));
}
export function del40(table: usize, key: usize): i32 {
  return remove40(table, load<u64>(key), load<u64>(key, 8), load<u64>(key, 16), load<u64>(key, 24), load<u64>(key, 32));
}
export function get40(table: usize, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64): u64 {
  return b40.search40(table, b40.hash40(k0, k1, k2, k3, k4), k0, k1, k2, k3, k4);
}
export function set40(table: usize, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64, value: u64): i32 {
  return b40.add40(table, b40.hash40(k0, k1, k2, k3, k4), k0, k1, k2, k3, k4, value);
}
export function insert40(table: usize, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64, value: u64): i32 {
  return b40.insert40(table, b40.hash40(k0, k1, k2, k3, k4), k0, k1, k2, k3, k4, value);
}
export function remove40(table: usize, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64): i32 {
  return b40.del40(table, b40.hash40(k0, k1, k2, k3, k4), k0, k1, k2, k3, k4);
}
