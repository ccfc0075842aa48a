/**
 * CRC-32C flow hashes (see flow-hash.ts) of many packets to one address, for kernels that have taken out beforehand what
 * differs: `count` source addresses at `sources` and the ports at `ports`, u32 each as loaded from the headers; the hashes go
 * to `hashes`. Up to three words behind are read and written, too. A byte is loaded where it lies, which costs one
 * instruction in place of three for a byte of a register.
 */
import { FLOW_TABLE_SHIFT, FLOW_TABLES } from '../src/layout.ts';

/** `to`: crcHash4To() of destination and destination port, which all have in common. */
export function crcHashesFrom(flow: usize, sources: usize, ports: usize, hashes: usize, count: i32, to: u32): void {
  const end = hashes + (<usize>count << 2);
  for (; hashes < end; hashes += 8, sources += 8, ports += 8) {
    const a = to ^ sourceOf(flow, sources) ^ sourcePortOf(flow, ports);
    const b = to ^ sourceOf(flow, sources + 4) ^ sourcePortOf(flow, ports + 4);
    store<u64>(hashes, <u64>a | (<u64>b << 32));
  }
}
/** `to`: crcHash4To() of the destination and port 0; destination ports may differ. */
export function crcHashes(flow: usize, sources: usize, ports: usize, hashes: usize, count: i32, to: u32): void {
  const end = hashes + (<usize>count << 2);
  for (; hashes < end; hashes += 4, sources += 4, ports += 4) {
    const from = sourceOf(flow, sources) ^ sourcePortOf(flow, ports);
    store<u32>(hashes, to ^ from ^ byteAt(flow, ports + 2, 31) ^ byteAt(flow, ports + 3, 30));
  }
}

/** What an IPv6 source address and the source port contribute to a packet's hash, as crcHash6From(), from where they lie. */
// @ts-ignore: decorator
@inline export function crcHash6FromAt(flow: usize, source: usize, ports: usize): u32 {
  return (
    (sourceOf(flow, source) ^ sourceOf(flow - (4 << FLOW_TABLE_SHIFT), source + 4)) ^
    (sourceOf(flow - (8 << FLOW_TABLE_SHIFT), source + 8) ^ sourceOf(flow - (12 << FLOW_TABLE_SHIFT), source + 12)) ^
    (byteAt(flow, ports, 5) ^ byteAt(flow, ports + 1, 4))
  );
}
/** What the destination port contributes. */
// @ts-ignore: decorator
@inline export function crcPort6At(flow: usize, ports: usize): u32 {
  return byteAt(flow, ports + 2, 7) ^ byteAt(flow, ports + 3, 6);
}

// Positions: a byte of the address has 32 bytes of words behind its own, one of the ports 24 (flow-hash.ts).
// @ts-ignore: decorator
@inline function sourceOf(flow: usize, at: usize): u32 {
  return (byteAt(flow, at, 39) ^ byteAt(flow, at + 1, 38)) ^ (byteAt(flow, at + 2, 37) ^ byteAt(flow, at + 3, 36));
}
/** The source port is the high half of the word that is hashed, so its bytes come behind those of the destination port. */
// @ts-ignore: decorator
@inline function sourcePortOf(flow: usize, at: usize): u32 {
  return byteAt(flow, at, 29) ^ byteAt(flow, at + 1, 28);
}
// @ts-ignore: decorator
@inline function byteAt(flow: usize, at: usize, position: usize): u32 {
  return load<u32>(flow + (<usize>load<u8>(at) << 2) + (position << FLOW_TABLE_SHIFT), FLOW_TABLES);
}
