import { Bihash } from '@lbd/bihash';
import type { Arena } from '@lbd/memory';
import * as L from './layout.ts';
import { type NatOptions, type NatTimeouts, natOptions } from './options.ts';

/** Where the tables of one family's NAT are. Plain data. */
export interface NatHandles {
  readonly family: 4 | 6;
  /** The block that all its nodes share. */
  readonly block: number;
  readonly table: number;
  readonly sessions: number;
  readonly capacity: number;
}

/**
 * Allocates the tables of one family's NAT.
 * @param fib address of the family's forwarding table
 * @throws ZodError if an option is out of range
 */
export function allocateNat(arena: Arena, family: 4 | 6, options: NatOptions, fib: number): NatHandles {
  const { sessions: capacity, timeouts } = natOptions.parse(options);
  const { memory } = arena;
  const label = (what: string) => `nat${family}: ${what}`;
  // Two keys a session, four to a page. Where two keys share a bucket on average, one bucket of twenty needs two pages; where
  // four do (the pages of IPv6 are twice as large), two of five. A third more for what splits leave behind, and for servers.
  const size = 2 ** Math.max(8, Math.ceil(Math.log2(capacity)));
  const table = Bihash.create(arena, {
    label: label('session keys'),
    keyBytes: family === 6 ? L.KEY6_BYTES : L.KEY4_BYTES,
    buckets: family === 6 ? size / 2 : size,
    memoryBytes: Math.max(1 << 20, family === 6 ? size * 256 : size * 192),
  }).address;
  // Index 0 is no session.
  const sessions = arena.allocate(label('sessions'), (capacity + 1) << L.SESSION_SHIFT);
  // Replies always go by hints: with one session a bucket on average, 1 of 200 finds no place among four. Packets of clients go
  // by them only where the sticky table has no room.
  const hintBuckets = Math.max(256, size / 2);
  const hints = arena.allocate(label('session hints'), hintBuckets << L.HINT_SHIFT);
  const replyHints = arena.allocate(label('session hints of replies'), size << L.HINT_SHIFT);
  const block = arena.allocate(label('block'), L.NAT_BYTES);
  const words: Array<[number, number]> = [
    [L.NAT_SESSIONS, sessions],
    [L.NAT_TABLE, table],
    [L.NAT_CAPACITY, capacity + 1],
    [L.NAT_NEXT, 1],
    [L.NAT_FIB, fib],
    [L.NAT_HINTS, hints],
    [L.NAT_HINT_MASK, hintBuckets - 1],
    [L.NAT_REPLY_HINTS, replyHints],
    [L.NAT_REPLY_HINT_MASK, size - 1],
    [L.NAT_SIX, family === 6 ? 1 : 0],
  ];
  for (const [offset, word] of words) memory.u32[(block + offset) >>> 2] = word;
  for (let seen = 0; seen < 32; seen++) memory.u32[((block + L.NAT_TIMEOUTS) >>> 2) + seen] = timeoutOf(seen, timeouts);
  return { family, block, table, sessions, capacity };
}

/** The idle timeout that belongs to a SESSION_SEEN. */
function timeoutOf(seen: number, timeouts: NatTimeouts): number {
  const fins = L.SEEN_FIN_CLIENT | L.SEEN_FIN_SERVER;
  if ((seen & L.SEEN_UDP) !== 0) return timeouts.udp;
  if ((seen & L.SEEN_RST) !== 0 || (seen & fins) === fins) return timeouts.tcpClosed;
  return (seen & L.SEEN_REPLY) !== 0 ? timeouts.tcpEstablished : timeouts.tcpTransitory;
}
