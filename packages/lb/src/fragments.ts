import { randomBytes } from 'node:crypto';
import type { Arena, Memory } from '@lbd/memory';
import * as F from './fragment-layout.ts';
import { AS_SHIFT } from './layout.ts';

/** Where what is kept of fragments is. Plain data. */
export interface FragmentHandles {
  /** The table that all workers share: LB_FRAGMENTS of their blocks. */
  readonly table: number;
  /** Per worker: the fragments that wait for the first of their datagram. */
  readonly held: readonly number[];
}

/**
 * Allocates the fragment table and the workers' rings.
 * @param entries datagrams that can be remembered at a time: a power of two, 4 at least
 * @throws RangeError, OutOfMemoryError
 */
export function allocateFragments(arena: Arena, workers: number, entries = 16384): FragmentHandles {
  if (!Number.isInteger(entries) || entries < F.FRAGMENTS_WAYS || (entries & (entries - 1)) !== 0) {
    throw new RangeError(`fragment entries ${entries}: must be a power of two, ${F.FRAGMENTS_WAYS} at least`);
  }
  const { memory } = arena;
  const table = arena.allocate('lb: fragments', F.FRAGMENTS_BYTES + entries * F.FRAGMENT_BYTES);
  memory.u32[(table + F.FRAGMENTS_MASK) >>> 2] = entries / F.FRAGMENTS_WAYS - 1;
  memory.u8.set(randomBytes(8), table + F.FRAGMENTS_SECRET);
  const held: number[] = [];
  for (let worker = 0; worker < workers; worker++) {
    held.push(
      arena.allocate(`lb: worker ${worker}: fragments that wait`, F.HELD_BYTES + (F.HELD_SLOTS << F.HELD_SHIFT)),
    );
  }
  return { table, held };
}

/**
 * Makes workers forget the fragmented datagrams that were given to a server. Call it before the quiescent point after which
 * the record is freed, and once more when it is: then nobody can remember it any more. What makes the record anew must leave
 * AS_GENERATION alone.
 * @param servers address of server record 0
 */
export function forgetFragments(memory: Memory, servers: number, server: number): void {
  Atomics.add(memory.u32, (servers + (server << AS_SHIFT) + F.AS_GENERATION) >>> 2, 1);
}
