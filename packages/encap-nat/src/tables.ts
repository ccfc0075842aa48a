import { Bihash } from '@lbd/bihash';
import type { Arena } from '@lbd/memory';
import * as L from './layout.ts';

/** Idle seconds after which a session is over. */
export interface NatTimeouts {
  /** UDP. RFC 4787 (REQ-5) asks for two minutes at least. */
  readonly udp: number;
  /** TCP of which no reply was seen. RFC 5382 (REQ-5): four minutes at least. */
  readonly tcpTransitory: number;
  /** TCP under way. RFC 5382 (REQ-5): two hours and four minutes at least. */
  readonly tcpEstablished: number;
  /** TCP whose end was seen: long enough for the last acknowledgements and retransmissions. */
  readonly tcpClosed: number;
}

export const DEFAULT_TIMEOUTS: NatTimeouts = { udp: 300, tcpTransitory: 240, tcpEstablished: 7440, tcpClosed: 60 };
/** Address space only: a session takes RAM (64 bytes, and some 80 in the bihash) when it is used. */
export const DEFAULT_SESSIONS = 1 << 20;

export interface NatOptions {
  /** Sessions there can be at a time. */
  readonly sessions?: number;
  readonly timeouts?: Partial<NatTimeouts>;
}

/** Where the tables of NAT4 are. Plain data. */
export interface NatHandles {
  /** The block that all its nodes share. */
  readonly block: number;
  readonly table: number;
  readonly sessions: number;
  readonly capacity: number;
}

/** Allocates the tables. @throws RangeError if an option is out of range */
export function allocateNat(arena: Arena, options: NatOptions, tables: { fib4: number }): NatHandles {
  const capacity = options.sessions ?? DEFAULT_SESSIONS;
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > 1 << 24) {
    throw new RangeError(`nat sessions ${capacity}: must be from 1 to ${1 << 24}`);
  }
  const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
  for (const [name, seconds] of Object.entries(timeouts)) {
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > 1 << 24) {
      throw new RangeError(`nat timeout ${name} ${seconds}: must be 1 to ${1 << 24} seconds`);
    }
  }
  const { memory } = arena;
  // Two keys a session; two entries of the four in a page are free on average after a split. One page more for servers.
  const buckets = 2 ** Math.max(8, Math.ceil(Math.log2(capacity)));
  const table = Bihash.create(arena, {
    label: 'nat4: session keys',
    keyBytes: 16,
    buckets,
    memoryBytes: Math.max(1 << 20, buckets * 256),
  }).address;
  // Index 0 is no session.
  const sessions = arena.allocate('nat4: sessions', (capacity + 1) << L.SESSION_SHIFT);
  const hintBuckets = Math.max(256, 2 ** Math.ceil(Math.log2(capacity)) / 2);
  const hints = arena.allocate('nat4: session hints', hintBuckets << L.HINT_SHIFT);
  const block = arena.allocate('nat4', L.NAT_BYTES);
  const words: Array<[number, number]> = [
    [L.NAT_SESSIONS, sessions],
    [L.NAT_TABLE, table],
    [L.NAT_CAPACITY, capacity + 1],
    [L.NAT_NEXT, 1],
    [L.NAT_FIB, tables.fib4],
    [L.NAT_HINTS, hints],
    [L.NAT_HINT_MASK, hintBuckets - 1],
  ];
  for (const [offset, word] of words) memory.u32[(block + offset) >>> 2] = word;
  for (let seen = 0; seen < 32; seen++) memory.u32[((block + L.NAT_TIMEOUTS) >>> 2) + seen] = timeoutOf(seen, timeouts);
  return { block, table, sessions, capacity };
}

/** The idle timeout that belongs to a SESSION_SEEN. */
function timeoutOf(seen: number, timeouts: NatTimeouts): number {
  const fins = L.SEEN_FIN_CLIENT | L.SEEN_FIN_SERVER;
  if ((seen & L.SEEN_UDP) !== 0) return timeouts.udp;
  if ((seen & L.SEEN_RST) !== 0 || (seen & fins) === fins) return timeouts.tcpClosed;
  return (seen & L.SEEN_REPLY) !== 0 ? timeouts.tcpEstablished : timeouts.tcpTransitory;
}
