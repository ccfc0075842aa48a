import type { Arena, Memory } from '@lbd/memory';
import { BihashError } from './errors.ts';
import { type BihashKernels, kernelsOf } from './kernels.ts';
import { type BihashKey, wordsOf } from './key.ts';
import * as L from './layout.ts';

const KEY_SIZES = [8, 16, 24, 40] as const;
export type BihashKeyBytes = (typeof KEY_SIZES)[number];

export interface BihashOptions {
  readonly keyBytes: BihashKeyBytes;
  /** Buckets, a power of two from 1 to 2^26; never changes. About as many as there will be entries is right. */
  readonly buckets: number;
  /** Bytes for the entries: a multiple of 256. A bucket in use takes at least a page: 64 bytes for keys of 8 bytes, 128 for 16 and 24, 256 for 40. */
  readonly memoryBytes: number;
  /** Name of the allocation; `bihash` unless told. */
  readonly label?: string;
}

export interface BihashStats {
  readonly size: number;
  readonly buckets: number;
  /** Buckets with entries. */
  readonly usedBuckets: number;
  /** Buckets whose entries would not spread over pages, and are searched one after the other. */
  readonly linearBuckets: number;
  /** How often a bucket's pages were replaced by more. */
  readonly splits: number;
  readonly memoryBytes: number;
  /** Bytes of pages in use by buckets. */
  readonly memoryUsed: number;
}

export interface BihashEntry {
  /** The key's words, little-endian. */
  readonly key: readonly bigint[];
  readonly value: bigint;
}

/** Page bytes by key size: see layout.ts. */
const pageShift = (keyBytes: number) => (keyBytes === 8 ? 6 : keyBytes === 40 ? 8 : 7);
/** NONE of assembly/page.ts: the value of a free entry. */
const NONE = 0xffffffffffffffffn;
const WORD_STABLE = ~BigInt(L.WORD_LOCKED);

/**
 * A bounded-index extensible hash table from keys of 8, 16, 24 or 40 bytes to u64 values, in the linear memory. Any number
 * of threads may read and write it at the same time, through this class or from kernels (`assembly/bihash16.ts` and its
 * siblings); readers never wait.
 */
export class Bihash {
  readonly memory: Memory;
  /** What kernels and other threads want to know. */
  readonly address: number;
  readonly keyBytes: BihashKeyBytes;
  readonly #kernels: BihashKernels;

  private constructor(memory: Memory, address: number) {
    this.memory = memory;
    this.address = address;
    this.keyBytes = memory.u32[(address + L.TABLE_KEY_BYTES) >>> 2] as BihashKeyBytes;
    this.#kernels = kernelsOf(memory, this.keyBytes);
  }

  /**
   * Allocates an empty table: 192 bytes, 8 for each bucket, and `memoryBytes`.
   * @throws BihashError (LBD_BIHASH_OPTIONS), OutOfMemoryError
   */
  static create(arena: Arena, options: BihashOptions): Bihash {
    const { keyBytes, buckets, memoryBytes, label = 'bihash' } = options;
    check(KEY_SIZES.includes(keyBytes), `${label}: keys of ${keyBytes} bytes: must be one of ${KEY_SIZES.join(', ')}`);
    const log2 = Math.log2(buckets);
    check(
      Number.isInteger(log2) && log2 >= 0 && log2 <= 26,
      `${label}: ${buckets} buckets: must be a power of two up to 67108864`,
    );
    check(
      Number.isInteger(memoryBytes) && memoryBytes >= 256 && memoryBytes % 256 === 0,
      `${label}: memoryBytes ${memoryBytes}: must be a positive multiple of 256`,
    );
    const head = Math.ceil((L.TABLE_BYTES + buckets * 8) / 256) * 256;
    // 256-aligned: no page crosses more lines than it must, and the two lines of a 128-byte page are fetched as a pair.
    const address = arena.allocate(label, head + memoryBytes, 256);
    const u32 = arena.memory.u32;
    const put = (at: number, value: number) => {
      u32[(address + at) >>> 2] = value;
    };
    put(L.TABLE_MASK, buckets - 1);
    put(L.TABLE_LOG2_BUCKETS, log2);
    put(L.TABLE_REGION, address + head);
    put(L.TABLE_REGION_BYTES, memoryBytes);
    put(L.TABLE_PAGE_SHIFT, pageShift(keyBytes));
    put(L.TABLE_KEY_BYTES, keyBytes);
    return new Bihash(arena.memory, address);
  }

  /**
   * The table that another thread created.
   * @throws BihashError (LBD_BIHASH_ADDRESS)
   */
  static attach(memory: Memory, address: number): Bihash {
    const keyBytes = memory.u32[(address + L.TABLE_KEY_BYTES) >>> 2];
    if (address % 64 !== 0 || !KEY_SIZES.some((size) => size === keyBytes)) {
      throw new BihashError('LBD_BIHASH_ADDRESS', `there is no bihash at address ${address}`);
    }
    return new Bihash(memory, address);
  }

  /** Gives the memory back. No thread may be using the table any more (see Epochs of @lbd/memory). */
  free(arena: Arena): void {
    this.memory.u32[(this.address + L.TABLE_KEY_BYTES) >>> 2] = 0;
    arena.free(this.address);
  }

  get(key: BihashKey): bigint | undefined {
    const value = BigInt.asUintN(64, this.#kernels.get(this.address, ...wordsOf(key, this.keyBytes)));
    return value === NONE ? undefined : value;
  }

  has(key: BihashKey): boolean {
    return this.get(key) !== undefined;
  }

  /**
   * Adds a key or replaces its value, at once for all threads. Returns true if the key is new.
   * @throws BihashError (LBD_BIHASH_FULL, LBD_BIHASH_VALUE, LBD_BIHASH_KEY)
   */
  set(key: BihashKey, value: bigint): boolean {
    return this.#added(this.#kernels.set(this.address, ...wordsOf(key, this.keyBytes), this.#value(value)));
  }

  /**
   * Adds a key unless it is there; of several threads that insert the same key, one succeeds. Returns true if it did.
   * @throws BihashError (LBD_BIHASH_FULL, LBD_BIHASH_VALUE, LBD_BIHASH_KEY)
   */
  insert(key: BihashKey, value: bigint): boolean {
    return this.#added(this.#kernels.insert(this.address, ...wordsOf(key, this.keyBytes), this.#value(value)));
  }

  /** Removes a key. Returns false if it is not there. */
  delete(key: BihashKey): boolean {
    return this.#kernels.remove(this.address, ...wordsOf(key, this.keyBytes)) !== L.MISSING;
  }

  /** Entries, at this moment. */
  get size(): number {
    return Atomics.load(this.memory.u32, (this.address + L.TABLE_SIZE) >>> 2);
  }

  /** Entries in no order. What other threads change meanwhile may or may not be seen; each bucket is seen at one moment. */
  *entries(): IterableIterator<BihashEntry> {
    for (let i = 0; i <= this.#header(L.TABLE_MASK); i++) yield* this.#bucket(i);
  }

  /** Walks all buckets. */
  get stats(): BihashStats {
    let usedBuckets = 0;
    let linearBuckets = 0;
    const words = (this.address + L.TABLE_BYTES) >>> 2;
    const buckets = this.#header(L.TABLE_MASK) + 1;
    for (let i = 0; i < buckets; i++) {
      const low = this.memory.u32[words + i * 2]!;
      if (low >>> 6 !== 0) usedBuckets++;
      if (low & L.WORD_LINEAR) linearBuckets++;
    }
    return {
      size: this.size,
      buckets,
      usedBuckets,
      linearBuckets,
      splits: this.#header(L.TABLE_SPLITS),
      memoryBytes: this.#header(L.TABLE_REGION_BYTES),
      memoryUsed: this.#header(L.TABLE_USED),
    };
  }

  #header(offset: number): number {
    return Atomics.load(this.memory.u32, (this.address + offset) >>> 2);
  }

  #value(value: bigint): bigint {
    if (value < 0n || value >= NONE) {
      throw new BihashError('LBD_BIHASH_VALUE', `value ${value}: must be from 0 to 2^64 - 2`);
    }
    return value;
  }

  #added(result: number): boolean {
    if (result === L.FULL) {
      throw new BihashError(
        'LBD_BIHASH_FULL',
        `the table is full: ${this.size} entries in ${this.#header(L.TABLE_REGION_BYTES)} bytes (raise memoryBytes or buckets)`,
      );
    }
    return result === L.ADDED;
  }

  /** A reader like those in assembly/bihash.ts, which says why it is right: read, then see whether the word has changed. */
  #bucket(index: number): BihashEntry[] {
    const { u64 } = this.memory;
    const at = (this.address + L.TABLE_BYTES + index * 8) / 8;
    for (;;) {
      const word = Atomics.load(u64, at);
      const low = Number(BigInt.asUintN(32, word));
      const set = (low & ~L.WORD_FLAGS) >>> 0;
      const found = set === 0 ? [] : this.#pages(set, 1 << (low & L.WORD_LOG2_PAGES));
      if (((Atomics.load(u64, at) ^ word) & WORD_STABLE) === 0n) return found;
    }
  }

  #pages(set: number, pages: number): BihashEntry[] {
    const { u64 } = this.memory;
    const words = this.keyBytes / 8;
    const entries: BihashEntry[] = [];
    for (let i = 0; i < pages * L.PAGE_ENTRIES; i++) {
      const page = set + ((i >>> 2) << pageShift(this.keyBytes));
      const slot = i & 3;
      const key = (page + slot * (words === 1 ? 8 : words === 5 ? 64 : 32)) / 8;
      const value = Atomics.load(u64, words === 1 ? key + 4 : key + words);
      if (value === NONE) continue;
      entries.push({ key: Array.from({ length: words }, (_, k) => Atomics.load(u64, key + k)), value });
    }
    return entries;
  }
}

function check(ok: boolean, message: string): asserts ok {
  if (!ok) throw new BihashError('LBD_BIHASH_OPTIONS', message);
}
