import { REPLICA_BYTES, SERVER_BYTES, SERVER_VALUE, SERVER_WEIGHT, SERVER_WORD } from '../src/layout.ts';

// @ts-ignore: decorator
@inline const P1: u64 = 0x9e3779b185ebca87;
// @ts-ignore: decorator
@inline const P2: u64 = 0xc2b2ae3d27d4eb4f;
// @ts-ignore: decorator
@inline const P3: u64 = 0x165667b19e3779f9;
// @ts-ignore: decorator
@inline const P4: u64 = 0x85ebca77c2b2ae63;
// @ts-ignore: decorator
@inline const P5: u64 = 0x27d4eb2f165667c5;
// @ts-ignore: decorator
@inline const SEED: u64 = 0x9e3779b97f4a7c13;

/** XXH64 (xxHash specification, section "XXH64") of one word. */
// @ts-ignore: decorator
@inline function xxh64(word: u64): u64 {
  let h = SEED + P5 + 8;
  h ^= rotl<u64>(word * P2, 31) * P1;
  h = rotl<u64>(h, 27) * P1 + P4;
  h = (h ^ (h >> 33)) * P2;
  h = (h ^ (h >> 29)) * P3;
  return h ^ (h >> 32);
}

/**
 * Fills a new-flow table of `length` slots (u32 at `table`; a power of two) from `count` servers, sorted by address and all
 * of weight > 0. `replicas` is room for as many replicas as there are, but no more than `length`; `taken` is a zeroed bit for
 * each slot. With no server, nothing is written.
 *
 * It is the fill of the Maglev paper (Eisenbud et al., NSDI 2016, section 3.4) on a table of power-of-two size. A server
 * of weight w takes part as replicas 0 to w - 1; the turns go by replica, then by address. Replicas that come after the
 * table is full in the first round never get a turn, so their permutations are not computed: the work grows with the
 * table, not with the weights.
 */
export function fill(table: usize, length: u32, servers: usize, count: u32, replicas: usize, taken: usize): void {
  const mask = length - 1;
  const serversEnd = servers + <usize>count * SERVER_BYTES;
  let filled: u32 = 0;
  let end = replicas;
  // The first round makes the replicas, in the order of their turns.
  for (let replica: u32 = 0; filled < length; replica++) {
    const before = end;
    for (let server = servers; server < serversEnd && filled < length; server += SERVER_BYTES) {
      if (load<u32>(server, SERVER_WEIGHT) <= replica) continue;
      const seed = xxh64(load<u64>(server, SERVER_WORD) ^ <u64>replica);
      store<u32>(end, <u32>(seed >> 32) & mask);
      store<u32>(end, (<u32>seed | 1) & mask, 4);
      store<u32>(end, load<u32>(server, SERVER_VALUE), 8);
      turn(table, mask, end, taken);
      filled++;
      end += REPLICA_BYTES;
    }
    if (end == before) break;
  }
  if (end == replicas) return;
  while (filled < length) {
    for (let state = replicas; state < end && filled < length; state += REPLICA_BYTES) {
      turn(table, mask, state, taken);
      filled++;
    }
  }
}
/** A replica takes its first free slot. skip is odd, so that its steps visit every slot, and there is a free one. */
// @ts-ignore: decorator
@inline function turn(table: usize, mask: u32, state: usize, taken: usize): void {
  const skip = load<u32>(state, 4);
  let slot = load<u32>(state);
  let word = taken + (<usize>(slot >> 3) & ~3);
  let bits = load<u32>(word);
  while ((bits >> (slot & 31)) & 1) {
    slot = (slot + skip) & mask;
    word = taken + (<usize>(slot >> 3) & ~3);
    bits = load<u32>(word);
  }
  store<u32>(word, bits | (<u32>1 << (slot & 31)));
  store<u32>(table + (<usize>slot << 2), load<u32>(state, 8));
  store<u32>(state, (slot + skip) & mask);
}
