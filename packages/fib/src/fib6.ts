import { Bihash } from '@lbd/bihash';
import type { Arena, Memory } from '@lbd/memory';
import { addressText, prefixOf } from '@lbd/packet';
import { checkDpo, NO_ROUTE } from './dpo.ts';
import { FibError } from './errors.ts';
import * as L from './layout.ts';
import { Reclaimer } from './reclaimer.ts';

export interface Fib6Entry {
  /** 16 bytes, network order. */
  readonly address: Uint8Array;
  readonly length: number;
  readonly dpo: number;
}

export interface Fib6Options {
  /** About how many prefixes there will be; a power of two. 131072 unless told. It takes address space, not RAM. */
  readonly prefixes?: number;
}

/** The filter's hash of a prefix is the highest bits of its halves and LENGTH_FACTOR times its length, xor-ed, times FILTER_FACTOR. */
const FILTER_FACTOR = 0x9e3779b97f4a7c15n;
const LENGTH_FACTOR = 0xff51afd7ed558ccdn;
/** A byte of the filter that has counted so far stays as it is. */
const MANY = 255;

/**
 * The IPv6 forwarding table: longest-prefix match by a hash table of (prefix, length), tried for each length in use,
 * longest first. Before it, a filter: it counts the prefixes by another hash, and where there are none, the table need not be tried. Kernels read it while it changes (`fib6Lookup` in assembly/fib6.ts). One thread writes.
 */
export class Fib6 {
  /** Address of the table, for kernels. */
  readonly address: number;
  readonly #arena: Arena;
  readonly #memory: Memory;
  readonly #reclaimer: Reclaimer;
  readonly #table: Bihash;
  /** Number of prefixes, by length. */
  readonly #counts = new Uint32Array(129);
  readonly #key = new Uint8Array(L.FIB6_KEY_BYTES);
  readonly #filter: number;
  readonly #filterShift: bigint;
  #list = 0;

  constructor(arena: Arena, reclaimer: Reclaimer = new Reclaimer(), { prefixes = 131072 }: Fib6Options = {}) {
    this.#arena = arena;
    this.#memory = arena.memory;
    this.#reclaimer = reclaimer;
    // entries of 32 bytes; pages of buckets that grew are half empty
    const sizes = { buckets: prefixes, memoryBytes: prefixes * 256 };
    this.#table = Bihash.create(arena, { keyBytes: L.FIB6_KEY_BYTES, label: 'ip6 fib: prefixes', ...sizes });
    this.address = arena.allocate('ip6 fib', L.FIB6_BYTES);
    this.#memory.u32[(this.address + L.FIB6_TABLE) >>> 2] = this.#table.address;
    this.#filter = arena.allocate('ip6 fib: filter', prefixes);
    this.#filterShift = BigInt(64 - Math.log2(prefixes));
    this.#memory.u32[(this.address + L.FIB6_FILTER) >>> 2] = this.#filter;
    this.#memory.u32[(this.address + L.FIB6_FILTER_SHIFT) >>> 2] = Number(this.#filterShift);
    this.#publishLengths();
  }

  /** Number of prefixes. */
  get size(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** Lengths in use, longest first: a lookup that finds nothing tries each. */
  get lengths(): number[] {
    return [...this.#counts.keys()].filter((length) => this.#counts[length] !== 0).reverse();
  }

  /**
   * Adds a prefix, or changes its DPO. Bits of the address behind the length must be zero.
   * @throws FibError, BihashError, OutOfMemoryError
   */
  add(address: Uint8Array, length: number, dpo: number): void {
    check(address, length);
    const value = BigInt(checkDpo(dpo));
    // A kernel must not miss what the table has: the filter first, and last when a prefix goes.
    const place = this.#count(address, length);
    let added = false;
    try {
      added = this.#table.set(this.#keyOf(address, length), value);
    } finally {
      if (!added) this.#uncount(place);
    }
    if (!added) return;
    this.#counts[length]! += 1;
    if (this.#counts[length] === 1) this.#publishLengths();
  }

  /** Removes a prefix; false if it is not there. @throws FibError */
  remove(address: Uint8Array, length: number): boolean {
    check(address, length);
    if (!this.#table.delete(this.#keyOf(address, length))) return false;
    this.#uncount(this.#placeOf(address, length));
    this.#counts[length]! -= 1;
    if (this.#counts[length] === 0) this.#publishLengths();
    return true;
  }

  /** The DPO of the longest prefix that an address lies in; `drop (no route)` if there is none. */
  lookup(address: Uint8Array): number {
    for (let length = 128; length >= 0; length--) {
      if (this.#counts[length] === 0) continue;
      const found = this.#table.get(this.#keyOf(prefixOf(address, length).bytes, length));
      if (found !== undefined) return Number(found);
    }
    return NO_ROUTE;
  }

  /** The DPO of exactly this prefix. */
  get(address: Uint8Array, length: number): number | undefined {
    check(address, length);
    const found = this.#table.get(this.#keyOf(address, length));
    return found === undefined ? undefined : Number(found);
  }

  /** All prefixes, in no order. */
  *entries(): Generator<Fib6Entry> {
    for (const { key, value } of this.#table.entries()) {
      const address = new Uint8Array(16);
      const view = new DataView(address.buffer);
      view.setBigUint64(0, key[0]!, true);
      view.setBigUint64(8, key[1]!, true);
      yield { address, length: Number(key[2]), dpo: Number(value) };
    }
  }

  #keyOf(address: Uint8Array, length: number): Uint8Array {
    this.#key.set(address);
    this.#key[16] = length;
    return this.#key;
  }

  /** Where the filter counts a prefix. */
  #placeOf(address: Uint8Array, length: number): number {
    const view = new DataView(address.buffer, address.byteOffset);
    const mixed = view.getBigUint64(0, true) ^ view.getBigUint64(8, true) ^ saltOf(length);
    return this.#filter + Number(BigInt.asUintN(64, mixed * FILTER_FACTOR) >> this.#filterShift);
  }

  #count(address: Uint8Array, length: number): number {
    const place = this.#placeOf(address, length);
    if (this.#memory.u8[place]! < MANY) this.#memory.u8[place]! += 1;
    return place;
  }

  #uncount(place: number): void {
    if (this.#memory.u8[place]! < MANY) this.#memory.u8[place]! -= 1;
  }

  /** Builds the list of lengths aside and publishes it by one store. */
  #publishLengths(): void {
    const { lengths } = this;
    const list = this.#arena.allocate('ip6 fib: lengths', L.LENGTHS_FIRST + 129 * L.LENGTHS_STRIDE);
    const { u8, u32, u64 } = this.#memory;
    u32[(list + L.LENGTHS_COUNT) >>> 2] = lengths.length;
    for (const [i, length] of lengths.entries()) {
      const at = list + L.LENGTHS_FIRST + i * L.LENGTHS_STRIDE;
      u8.set(prefixOf(new Uint8Array(16).fill(0xff), length).bytes, at + L.LENGTHS_MASK);
      u8[at + L.LENGTHS_LENGTH] = length;
      u64[(at + L.LENGTHS_SALT) >>> 3] = saltOf(length);
    }
    const old = this.#list;
    this.#list = list;
    Atomics.store(u32, (this.address + L.FIB6_LENGTHS) >>> 2, list);
    if (old) this.#reclaimer.defer(() => this.#arena.free(old));
  }
}

/** What the filter's hash has of a length. */
function saltOf(length: number): bigint {
  return BigInt.asUintN(64, BigInt(length) * LENGTH_FACTOR);
}

function check(address: Uint8Array, length: number): void {
  if (address.length !== 16 || !Number.isInteger(length) || length < 0 || length > 128) {
    throw new FibError('LBD_FIB_PREFIX', `an IPv6 prefix must have 16 bytes and a length from 0 to 128, not ${length}`);
  }
  const { bytes } = prefixOf(address, length);
  if (bytes.every((byte, i) => byte === address[i])) return;
  throw new FibError(
    'LBD_FIB_PREFIX',
    `${addressText(address)}/${length}: all bits behind the first ${length} must be zero`,
  );
}
