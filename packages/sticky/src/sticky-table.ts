import type { Arena, Memory } from '@lbd/memory';
import { StickyError } from './errors.ts';
import { kernelsOf, type StickyKernels } from './kernels.ts';
import * as L from './layout.ts';

export interface StickyOptions {
  /** Buckets of four entries each: a power of two from 1 to 2^24; 1024 unless told. */
  readonly buckets?: number;
  /** Seconds that a flow is remembered after its last packet: 1 to 2^30; 40 unless told. */
  readonly timeout?: number;
  /** Name of the allocation; `sticky` unless told. */
  readonly label?: string;
}

export interface StickyUsage {
  /** Entries of live flows. */
  readonly live: number;
  /** Entries in all: four a bucket. */
  readonly capacity: number;
}

export interface StickyEntry {
  readonly hash: number;
  /** The second at which the entry is over. */
  readonly expiry: number;
  readonly vip: number;
  readonly as: number;
}

/** Which entries; what is left out is any. */
export interface StickyFilter {
  readonly as?: number;
  readonly vip?: number;
}

const ANY = 0xffffffff;
const MAX_BUCKETS = 2 ** 24;
const MAX_TIMEOUT = 2 ** 30;

/**
 * One worker's memory of which application server each flow goes to. The worker owns it: what changes entries (`lookup`,
 * `flush`, `copyTo` the table, `takeOver`) is called from its thread only, or while it stands still; what reads may be called from
 * any thread.
 *
 * Times are seconds of the worker's clock (WORKER_NOW of `@lbd/graph`). Who decides by `usage`, `count` or `countByAs` that
 * nothing refers to a server any more must pass the worker's own clock, not a later one: by its own clock, an entry that is over
 * stays over.
 */
export class StickyTable {
  readonly memory: Memory;
  /** What kernels and other threads want to know. */
  readonly address: number;
  readonly #kernels: StickyKernels;

  private constructor(memory: Memory, address: number) {
    this.memory = memory;
    this.address = address;
    this.#kernels = kernelsOf(memory);
  }

  /**
   * Allocates an empty table: 64 bytes, and 64 for each bucket.
   * @throws StickyError (LBD_STICKY_OPTIONS), OutOfMemoryError
   */
  static create(arena: Arena, options: StickyOptions = {}): StickyTable {
    const { buckets = 1024, timeout = 40, label = 'sticky' } = options;
    if (!Number.isInteger(Math.log2(buckets)) || buckets < 1 || buckets > MAX_BUCKETS) {
      throw new StickyError(
        'LBD_STICKY_OPTIONS',
        `${buckets} buckets: must be a power of two from 1 to ${MAX_BUCKETS}`,
      );
    }
    const address = arena.allocate(label, L.STICKY_BYTES + buckets * L.BUCKET_BYTES);
    arena.memory.u32[(address + L.STICKY_MASK) >>> 2] = buckets - 1;
    const table = new StickyTable(arena.memory, address);
    try {
      table.timeout = timeout;
    } catch (error) {
      arena.free(address);
      throw error;
    }
    return table;
  }

  /** The table that another thread created. */
  static attach(memory: Memory, address: number): StickyTable {
    return new StickyTable(memory, address);
  }

  /** Gives the memory back; the worker must not use the table any more. */
  free(arena: Arena): void {
    arena.free(this.address);
  }

  get buckets(): number {
    return this.memory.u32[(this.address + L.STICKY_MASK) >>> 2]! + 1;
  }

  get capacity(): number {
    return this.buckets * L.BUCKET_ENTRIES;
  }

  /** Seconds that a flow is remembered after its last packet. A change applies from a flow's next packet on. */
  get timeout(): number {
    return this.memory.u32[(this.address + L.STICKY_TIMEOUT) >>> 2]!;
  }
  set timeout(seconds: number) {
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_TIMEOUT) {
      throw new StickyError('LBD_STICKY_OPTIONS', `timeout ${seconds}: must be 1 to ${MAX_TIMEOUT} whole seconds`);
    }
    this.memory.u32[(this.address + L.STICKY_TIMEOUT) >>> 2] = seconds;
  }

  /**
   * Finds the servers of a vector of packets, as a kernel would: for packet i, the live entry of its hash and VIP, or what
   * the new-flow table says, remembered if there is room. All are addresses of u32, `counters` of four u64 that are
   * added to: existing, first, untracked, no server.
   */
  lookup(
    vector: { hashes: number; vips: number; newflow: number; out: number; count: number; counters: number },
    now: number,
  ): void {
    const { hashes, vips, newflow, out, count, counters } = vector;
    this.#kernels.lookup_vector(this.address, hashes, vips, newflow, out, count, now, counters);
  }

  /** What `setState` has set since the flow was entered, else 0; 0 if the flow is not live. */
  state(flow: { hash: number; vip: number }, now: number): number {
    return this.#kernels.state_of(this.address, flow.hash, flow.vip, now);
  }

  /** Keeps 24 bits with a live flow, for whoever uses the table. False if it is not live. Owner only. */
  setState(flow: { hash: number; vip: number }, state: number, now: number): boolean {
    return this.#kernels.set_state(this.address, flow.hash, flow.vip, now, state) !== 0;
  }

  usage(now: number): StickyUsage {
    return { live: this.#kernels.count_live(this.address, now) >>> 0, capacity: this.capacity };
  }

  /** Live entries of a server, of a VIP, or of both together. */
  count(filter: StickyFilter, now: number): number {
    return this.#kernels.count_matching(this.address, filter.as ?? ANY, filter.vip ?? ANY, now) >>> 0;
  }

  /** Live entries by server. */
  countByAs(now: number): Map<number, number> {
    return this.#countBy(L.BUCKET_AS, L.AS_MASK, now);
  }

  /** Live entries by VIP. */
  countByVip(now: number): Map<number, number> {
    return this.#countBy(L.BUCKET_VIP, L.VIP_MASK, now);
  }

  /**
   * Live entries by server, for many servers and big tables: adds to `length` u32 at address `counts`, indexed by server.
   * Servers of `length` and up are left out.
   */
  countByAsInto(counts: number, length: number, now: number): void {
    this.#kernels.count_by_as(this.address, now, counts, length);
  }

  /** The same, by VIP. */
  countByVipInto(counts: number, length: number, now: number): void {
    this.#kernels.count_by_vip(this.address, now, counts, length);
  }

  /** Ends entries, so that their flows are chosen anew. Returns how many. Owner only. */
  flush(filter: StickyFilter | ((entry: StickyEntry) => boolean), now: number): number {
    if (typeof filter !== 'function') {
      return this.#kernels.flush(this.address, filter.as ?? ANY, filter.vip ?? ANY, now) >>> 0;
    }
    let ended = 0;
    for (const [at, entry] of this.#live(now)) {
      if (!filter(entry)) continue;
      this.memory.u32[at + (L.BUCKET_EXPIRY >>> 2)] = 0;
      ended++;
    }
    return ended;
  }

  /**
   * Ends the entries of some buckets, those from place `from` to before `to`, whose server and VIP the function wants: for a
   * table that is too big to be gone through between two packets. Allocates nothing. Returns how many. Owner only.
   */
  flushPart(wanted: (as: number, vip: number) => boolean, from: number, to: number): number {
    const { u32 } = this.memory;
    const first = (this.address + L.STICKY_BYTES) >>> 2;
    const end = Math.min(to, this.buckets);
    let ended = 0;
    for (let bucket = from; bucket < end; bucket++) {
      const at = first + bucket * (L.BUCKET_BYTES >>> 2);
      for (let slot = at; slot < at + L.BUCKET_ENTRIES; slot++) {
        if (u32[slot + (L.BUCKET_EXPIRY >>> 2)] === 0) continue;
        const as = u32[slot + (L.BUCKET_AS >>> 2)]! & L.AS_MASK;
        if (!wanted(as, u32[slot + (L.BUCKET_VIP >>> 2)]! & L.VIP_MASK)) continue;
        u32[slot + (L.BUCKET_EXPIRY >>> 2)] = 0;
        ended++;
      }
    }
    return ended;
  }

  /** Live entries. */
  *entries(now: number): IterableIterator<StickyEntry> {
    for (const [, entry] of this.#live(now)) yield entry;
  }

  /**
   * Copies the live entries to a new table of another size, which must not have entries of its own: that is how a table is
   * resized. Returns how many found both their buckets full; these flows go on untracked.
   */
  copyTo(other: StickyTable, now: number): number {
    this.#checkMemoryOf(other);
    return this.#kernels.copy(this.address, other.address, now) >>> 0;
  }

  /** The table whose flows are moved to this one, while they are. */
  get old(): StickyTable | undefined {
    const address = Atomics.load(this.memory.u32, (this.address + L.STICKY_OLD) >>> 2);
    return address === 0 ? undefined : new StickyTable(this.memory, address);
  }

  /**
   * Moves the flows of another table to this one bit by bit, so that no packet waits: that is how a table in use is resized. From
   * now on packets are to be looked up here; the next packet of a flow brings it over. Returns a function that brings over what
   * so many buckets more of the other table still have, and true when nothing is left: then that table is not
   * used any more. Flows that find their buckets full go on untracked. Owner only.
   */
  takeOver(other: StickyTable): (buckets: number, now: number) => boolean {
    this.#checkMemoryOf(other);
    const word = (this.address + L.STICKY_OLD) >>> 2;
    Atomics.store(this.memory.u32, word, other.address);
    const all = other.buckets;
    let from = 0;
    return (buckets, now) => {
      const end = Math.min(from + buckets, all);
      this.#kernels.take_over(this.address, from, end, now);
      from = end;
      if (end < all) return false;
      Atomics.store(this.memory.u32, word, 0);
      return true;
    };
  }

  #checkMemoryOf(other: StickyTable): void {
    if (other.memory === this.memory) return;
    throw new StickyError('LBD_STICKY_OPTIONS', 'both tables must be in one memory');
  }

  #countBy(field: number, mask: number, now: number): Map<number, number> {
    const { u32, i32 } = this.memory;
    const counts = new Map<number, number>();
    for (const at of this.#slots()) {
      if (i32[at + (L.BUCKET_EXPIRY >>> 2)]! <= now) continue;
      const index = u32[at + (field >>> 2)]! & mask;
      counts.set(index, (counts.get(index) ?? 0) + 1);
    }
    return counts;
  }

  *#live(now: number): IterableIterator<[number, StickyEntry]> {
    const { u32, i32 } = this.memory;
    for (const at of this.#slots()) {
      const expiry = i32[at + (L.BUCKET_EXPIRY >>> 2)]!;
      if (expiry <= now) continue;
      const [hash, vip, as] = [L.BUCKET_HASH, L.BUCKET_VIP, L.BUCKET_AS].map((field) => u32[at + (field >>> 2)]!);
      yield [at, { hash: hash!, expiry, vip: vip! & L.VIP_MASK, as: as! & L.AS_MASK }];
    }
  }

  /** Word index of the first word of each entry. */
  *#slots(): IterableIterator<number> {
    const first = (this.address + L.STICKY_BYTES) >>> 2;
    const words = L.BUCKET_BYTES >>> 2;
    for (let i = 0; i < this.capacity; i++) yield first + (i >>> 2) * words + (i & 3);
  }
}
