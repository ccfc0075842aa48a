/**
 * Keys of the sessions' bihash for both families: `six` says which, a constant where speed matters, so that the compiler
 * drops the other. Layout: ../src/layout.ts.
 */
import { del16, hash16, insert16, search16 } from '@lbd/bihash/assembly/bihash16.ts';
import { del40, hash40, insert40, search40 } from '@lbd/bihash/assembly/bihash40.ts';
import { KEY_SERVER } from '../src/layout.ts';

/** What a search returns if there is no such key. */
// @ts-ignore: decorator
@inline export const NONE: u64 = 0xffffffffffffffff;

/** The last 8 bytes of a key. */
// @ts-ignore: decorator
@inline export function keyTail(ports: u32, protocol: u32, kind: u64): u64 {
  return <u64>ports | (<u64>protocol << 32) | (kind << 40);
}
/** Source and destination port swapped: the ports of a packet the other way. */
// @ts-ignore: decorator
@inline export function swapPorts(ports: u32): u32 {
  return rotl<u32>(ports, 16);
}

// What follows is not done for each packet: source and destination may lie anywhere, the family need not be a constant.

// @ts-ignore: decorator
@inline function pair4(source: usize, destination: usize): u64 {
  return <u64>load<u32>(source) | (<u64>load<u32>(destination) << 32);
}
export function hashKey(six: bool, source: usize, destination: usize, tail: u64): u32 {
  if (!six) return hash16(pair4(source, destination), tail);
  return hash40(load<u64>(source), load<u64>(source, 8), load<u64>(destination), load<u64>(destination, 8), tail);
}
/** Returns the key's value, or NONE. */
export function searchKey(six: bool, table: usize, hash: u32, source: usize, destination: usize, tail: u64): u64 {
  if (!six) return search16(table, hash, pair4(source, destination), tail);
  const s0 = load<u64>(source);
  const s1 = load<u64>(source, 8);
  return search40(table, hash, s0, s1, load<u64>(destination), load<u64>(destination, 8), tail);
}
/** Adds a key that is not there. Returns ADDED (0), EXISTED (above 0), or less than 0 if there is no room. */
export function insertKey(
  six: bool,
  table: usize,
  hash: u32,
  source: usize,
  destination: usize,
  tail: u64,
  value: u64,
): i32 {
  if (!six) return insert16(table, hash, pair4(source, destination), tail, value);
  const s0 = load<u64>(source);
  const s1 = load<u64>(source, 8);
  return insert40(table, hash, s0, s1, load<u64>(destination), load<u64>(destination, 8), tail, value);
}
export function deleteKey(six: bool, table: usize, source: usize, destination: usize, tail: u64): void {
  const hash = hashKey(six, source, destination, tail);
  if (!six) del16(table, hash, pair4(source, destination), tail);
  else {
    const s0 = load<u64>(source);
    const s1 = load<u64>(source, 8);
    del40(table, hash, s0, s1, load<u64>(destination), load<u64>(destination, 8), tail);
  }
}
/** Index of the only VIP that has the server at `address` with this port (wire order); NONE if there is none, or several. */
export function searchServer(six: bool, table: usize, address: usize, port: u32, protocol: u32): u64 {
  const tail = keyTail(port, protocol, KEY_SERVER);
  if (!six) {
    const k0 = <u64>load<u32>(address);
    return search16(table, hash16(k0, tail), k0, tail);
  }
  const k0 = load<u64>(address);
  const k1 = load<u64>(address, 8);
  return search40(table, hash40(k0, k1, 0, 0, tail), k0, k1, 0, 0, tail);
}
