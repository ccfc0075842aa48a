import {
  stickyConstants,
  stickyHash4,
  stickyHash6,
  stickyHashes4,
  stickyHigh,
  stickyKey,
  stickyLow,
  stickySeed4,
  stickySeed6,
} from './hash.ts';

// The hashes with all arguments in memory, for TypeScript. `secret`, and `source` and `destination` of IPv6: addresses of 16 bytes.
export function hash4(secret: usize, source: u32, destination: u32, ports: u32): u32 {
  return stickyHash4(stickySeed4(secret, destination), stickyKey(secret), source, ports);
}
export function hash6(secret: usize, source: usize, destination: usize, ports: u32): u32 {
  const seed = stickySeed6(secret, destination);
  return stickyHash6(seed, stickyKey(secret), stickyHigh(secret), stickyLow(secret), source, ports);
}
/** hash4() of `count` flows to one destination, four at a time: sources, ports and hashes are u32 each, with room for a multiple of four. */
export function hashes4(
  secret: usize, destination: u32, sources: usize, ports: usize, hashes: usize, count: i32, constants: usize,
): void {
  stickyConstants(constants, secret);
  const seeds = i32x4.splat(stickySeed4(secret, destination));
  const keys = v128.load(constants);
  const b = v128.load(constants, 16);
  for (const end = hashes + (<usize>count << 2); hashes < end; hashes += 16, sources += 16, ports += 16) {
    v128.store(hashes, stickyHashes4(seeds, v128.load(sources), v128.load(ports), keys, b));
  }
}
