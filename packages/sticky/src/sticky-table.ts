import { readFileSync } from 'node:fs';
import type { Arena, Memory } from '@lbd/memory';
import * as L from './layout.ts';

const kernels = new URL('../dist/kernels.wasm', import.meta.url);

interface StickyKernels {
  sticky_usage(table: number, now: number): number;
}

let compiled: WebAssembly.Module | undefined;

/** An entry that has not timed out. */
export interface StickyEntry {
  readonly hash: number;
  readonly expiry: number;
  readonly vip: number;
  readonly as: number;
}

export interface StickyOptions {
  /** Buckets of four entries: a power of two; 1024 unless told. */
  readonly buckets?: number;
  /** Idle seconds after which a flow is forgotten; 40 unless told. */
  readonly timeout?: number;
  readonly label?: string;
}

/**
 * A table that keeps flows on the server that was first chosen for them. One thread writes it (kernels, flush, copyTo);
 * any may read.
 */
export class StickyTable {
  readonly address: number;
  readonly #memory: Memory;
  readonly #kernels: StickyKernels;

  private constructor(memory: Memory, address: number) {
    this.address = address;
    this.#memory = memory;
    compiled ??= new WebAssembly.Module(readFileSync(kernels));
    this.#kernels = memory.instantiate(compiled) as unknown as StickyKernels;
  }

  /** @throws RangeError if an option is out of range */
  static create(arena: Arena, options: StickyOptions = {}): StickyTable {
    const { buckets = 1024, timeout = 40, label = 'sticky table' } = options;
    if (!Number.isInteger(buckets) || buckets < 1 || buckets > 1 << 24 || (buckets & (buckets - 1)) !== 0) {
      throw new RangeError(`${label}: ${buckets} buckets: must be a power of two, 1 to ${1 << 24}`);
    }
    if (!Number.isInteger(timeout) || timeout < 1 || timeout > 1 << 30) {
      throw new RangeError(`${label}: timeout ${timeout}: must be 1 to ${1 << 30} seconds`);
    }
    const address = arena.allocate(label, L.STICKY_HEADER + buckets * L.BUCKET_BYTES);
    arena.memory.u32[(address + L.STICKY_MASK) >>> 2] = buckets - 1;
    arena.memory.u32[(address + L.STICKY_TIMEOUT) >>> 2] = timeout;
    return new StickyTable(arena.memory, address);
  }

  /** The table at an address, in another thread or later. */
  static attach(memory: Memory, address: number): StickyTable {
    return new StickyTable(memory, address);
  }

  get buckets(): number {
    return this.#memory.u32[(this.address + L.STICKY_MASK) >>> 2]! + 1;
  }
  /** Idle seconds after which a flow is forgotten. */
  get timeout(): number {
    return this.#memory.u32[(this.address + L.STICKY_TIMEOUT) >>> 2]!;
  }

  /** Live entries, and how many there can be. @param now seconds */
  usage(now: number): { used: number; capacity: number } {
    return { used: this.#kernels.sticky_usage(this.address, now), capacity: this.buckets * L.BUCKET_ENTRIES };
  }

  /** Live entries by server. @param now seconds */
  countByAs(now: number): Map<number, number> {
    const counts = new Map<number, number>();
    this.#walk(now, (at) => {
      const server = this.#memory.u32[at + (L.BUCKET_AS >> 2)]!;
      counts.set(server, (counts.get(server) ?? 0) + 1);
    });
    return counts;
  }

  /** Live entries. @param now seconds */
  entries(now: number): StickyEntry[] {
    const entries: StickyEntry[] = [];
    this.#walk(now, (at) => entries.push(this.#entry(at)));
    return entries;
  }

  /** Forgets the flows for which `which` is true. Only the writing thread may. */
  flush(which: (entry: StickyEntry) => boolean): void {
    this.#walk(0, (at) => {
      if (which(this.#entry(at))) this.#memory.u32[at + (L.BUCKET_EXPIRY >> 2)] = 0;
    });
  }

  /**
   * Enters the live flows into another table, as far as its buckets have room. Only the thread that writes both may.
   * @returns how many found no room
   */
  copyTo(other: StickyTable, now: number): number {
    const { u32 } = this.#memory;
    let lost = 0;
    this.#walk(now, (at) => {
      const { hash, expiry, vip, as } = this.#entry(at);
      const bucket = (other.address + L.STICKY_HEADER + ((hash & (other.buckets - 1)) >>> 0) * L.BUCKET_BYTES) >>> 2;
      const place = [0, 1, 2, 3].find((i) => u32[bucket + i + (L.BUCKET_EXPIRY >> 2)]! <= now);
      if (place === undefined) {
        lost++;
        return;
      }
      const to = bucket + place;
      u32[to + (L.BUCKET_HASH >> 2)] = hash;
      u32[to + (L.BUCKET_VIP >> 2)] = vip;
      u32[to + (L.BUCKET_AS >> 2)] = as;
      u32[to + (L.BUCKET_EXPIRY >> 2)] = expiry;
    });
    return lost;
  }

  #entry(at: number): StickyEntry {
    const { u32 } = this.#memory;
    return {
      hash: u32[at + (L.BUCKET_HASH >> 2)]!,
      expiry: u32[at + (L.BUCKET_EXPIRY >> 2)]!,
      vip: u32[at + (L.BUCKET_VIP >> 2)]!,
      as: u32[at + (L.BUCKET_AS >> 2)]!,
    };
  }

  /** Calls back with the word index of each live entry's hash. */
  #walk(now: number, visit: (at: number) => void): void {
    const { u32 } = this.#memory;
    const first = (this.address + L.STICKY_HEADER) >>> 2;
    const end = first + this.buckets * (L.BUCKET_BYTES >> 2);
    for (let bucket = first; bucket < end; bucket += 16) {
      for (let at = bucket; at < bucket + 4; at++) if (u32[at + (L.BUCKET_EXPIRY >> 2)]! > now) visit(at);
    }
  }
}
