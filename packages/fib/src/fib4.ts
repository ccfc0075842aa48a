import type { Arena, Memory } from '@lbd/memory';
import { checkDpo, NO_ROUTE } from './dpo.ts';
import { FibError } from './errors.ts';
import * as L from './layout.ts';
import { PlyPool } from './ply-pool.ts';
import { Reclaimer } from './reclaimer.ts';

export interface Fib4Entry {
  /** Host order: the address's first byte is the highest. */
  readonly address: number;
  readonly length: number;
  readonly dpo: number;
}

/**
 * The IPv4 forwarding table: longest-prefix match in a 16-8-8 mtrie in the linear memory. Kernels read it while it changes
 * (`fib4Lookup` in assembly/fib4.ts): each change is a store of one word, and a reader finds the old or the new result.
 * One thread writes. Addresses are numbers in host order.
 */
export class Fib4 {
  /** Address of the table, for kernels. */
  readonly address: number;
  readonly #memory: Memory;
  readonly #plies: PlyPool;
  readonly #reclaimer: Reclaimer;
  /** DPO by prefix, for each length; keys are addresses as signed 32-bit integers, which V8 stores unboxed. */
  readonly #prefixes: Map<number, number>[] = Array.from({ length: 33 }, () => new Map());
  readonly #root: number;

  constructor(arena: Arena, reclaimer: Reclaimer = new Reclaimer()) {
    this.#memory = arena.memory;
    this.#plies = new PlyPool(arena);
    this.#reclaimer = reclaimer;
    this.address = arena.allocate('ip4 fib', L.FIB4_BYTES);
    this.#root = (this.address + L.FIB4_ROOT) >>> 2;
    this.#memory.u32.fill((L.FIB4_LEAF | NO_ROUTE) >>> 0, this.#root, this.#root + L.FIB4_ROOT_SLOTS);
  }

  /** Number of prefixes. */
  get size(): number {
    return this.#prefixes.reduce((sum, prefixes) => sum + prefixes.size, 0);
  }

  /** Plies in use, of 1344 bytes each. */
  get plies(): number {
    return this.#plies.used;
  }

  /**
   * Adds a prefix, or changes its DPO. Bits of the address behind the length must be zero.
   * @throws FibError, OutOfMemoryError
   */
  add(address: number, length: number, dpo: number): void {
    check(address, length);
    checkDpo(dpo);
    const entry = (L.FIB4_LEAF | dpo) >>> 0;
    this.#change(address, length, 0, length, length, entry);
    this.#prefixes[length]!.set(address | 0, dpo);
  }

  /** Removes a prefix; false if it is not there. @throws FibError */
  remove(address: number, length: number): boolean {
    check(address, length);
    if (!this.#prefixes[length]!.delete(address | 0)) return false;
    let cover = length - 1;
    let dpo: number | undefined;
    for (; cover >= 0; cover--) {
      dpo = this.#prefixes[cover]!.get(truncate(address, cover) | 0);
      if (dpo !== undefined) break;
    }
    const entry = (L.FIB4_LEAF | (dpo ?? NO_ROUTE)) >>> 0;
    this.#change(address, length, length, length, Math.max(cover, 0), entry);
    if (length > 16) this.#collapse(address);
    return true;
  }

  /** The DPO of the longest prefix that an address lies in; `drop (no route)` if there is none. */
  lookup(address: number): number {
    const { u32 } = this.#memory;
    let entry = u32[this.#root + rootSlot(address >>> 16)]!;
    if (entry < L.FIB4_LEAF) entry = u32[entry + ((address >>> 8) & 255)]!;
    if (entry < L.FIB4_LEAF) entry = u32[entry + (address & 255)]!;
    return entry & ~L.FIB4_LEAF;
  }

  /** The DPO of exactly this prefix. */
  get(address: number, length: number): number | undefined {
    check(address, length);
    return this.#prefixes[length]!.get(address | 0);
  }

  /** All prefixes, shortest first. */
  *entries(): Generator<Fib4Entry> {
    for (const [length, prefixes] of this.#prefixes.entries()) {
      for (const [address, dpo] of prefixes) yield { address: address >>> 0, length, dpo };
    }
  }

  /** Gives the leaves under a prefix that come from lengths `from` to `to` another entry, of length `by`. */
  #change(address: number, length: number, from: number, to: number, by: number, entry: number): void {
    const { u32, u8 } = this.#memory;
    if (length <= 16) {
      const lengths = this.address + L.FIB4_ROOT_LENGTHS;
      const first = address >>> 16;
      const end = first + 2 ** (16 - length);
      for (let i = first; i < end; i++) {
        const slot = rootSlot(i);
        const old = u32[this.#root + slot]!;
        if (old < L.FIB4_LEAF) this.#changePly(old, 16, 0, L.PLY_SLOTS, from, to, by, entry);
        else if (u8[lengths + slot]! >= from && u8[lengths + slot]! <= to) {
          u8[lengths + slot] = by;
          u32[this.#root + slot] = entry;
        }
      }
      return;
    }
    const middle = this.#descendRoot(address);
    const second = (address >>> 8) & 255;
    if (length <= 24) this.#changePly(middle, 16, second, 2 ** (24 - length), from, to, by, entry);
    else this.#changePly(this.#descend(middle, second), 24, address & 255, 2 ** (32 - length), from, to, by, entry);
  }

  /** {@link #change} in one ply; `base` is the number of address bits that lead to it. */
  #changePly(
    ply: number,
    base: number,
    first: number,
    slots: number,
    from: number,
    to: number,
    by: number,
    entry: number,
  ): void {
    const { u32, u8 } = this.#memory;
    const lengths = ply * 4 + L.PLY_LENGTHS;
    const specifics = ply + L.PLY_SPECIFICS / 4;
    for (let slot = first; slot < first + slots; slot++) {
      const old = u32[ply + slot]!;
      if (old < L.FIB4_LEAF) {
        this.#changePly(old, 24, 0, L.PLY_SLOTS, from, to, by, entry);
        continue;
      }
      const was = u8[lengths + slot]!;
      if (was < from || was > to) continue;
      u32[specifics]! += Number(by > base) - Number(was > base);
      u8[lengths + slot] = by;
      u32[ply + slot] = entry;
    }
  }

  /** The ply below the root for an address; made if there is a leaf. */
  #descendRoot(address: number): number {
    const slot = rootSlot(address >>> 16);
    const at = this.#root + slot;
    const entry = this.#memory.u32[at]!;
    if (entry < L.FIB4_LEAF) return entry;
    const ply = this.#makePly(entry, this.#memory.u8[this.address + L.FIB4_ROOT_LENGTHS + slot]!, 0);
    Atomics.store(this.#memory.u32, at, ply);
    return ply;
  }

  /** The ply below a slot of a ply of the middle level; made if there is a leaf. */
  #descend(parent: number, slot: number): number {
    const { u32, u8 } = this.#memory;
    const entry = u32[parent + slot]!;
    if (entry < L.FIB4_LEAF) return entry;
    const length = u8[parent * 4 + L.PLY_LENGTHS + slot]!;
    const ply = this.#makePly(entry, length, 0);
    if (length <= 16) u32[parent + L.PLY_SPECIFICS / 4]! += 1;
    Atomics.store(u32, parent + slot, ply);
    return ply;
  }

  /** A ply that means what the leaf in its place meant. */
  #makePly(leaf: number, length: number, specifics: number): number {
    const ply = this.#plies.take();
    const { u32, u8 } = this.#memory;
    u32.fill(leaf, ply, ply + L.PLY_SLOTS);
    u8.fill(length, ply * 4 + L.PLY_LENGTHS, ply * 4 + L.PLY_LENGTHS + L.PLY_SLOTS);
    u32[ply + L.PLY_SPECIFICS / 4] = specifics;
    u32[(this.address + L.FIB4_PLIES) >>> 2] = this.#plies.used;
    return ply;
  }

  /** Replaces the plies on the way to an address by leaves where they say no more than a leaf. */
  #collapse(address: number): void {
    const { u32, u8 } = this.#memory;
    const specifics = L.PLY_SPECIFICS / 4;
    const slot = rootSlot(address >>> 16);
    const middle = u32[this.#root + slot]!;
    if (middle >= L.FIB4_LEAF) return;
    const second = (address >>> 8) & 255;
    const last = u32[middle + second]!;
    if (last < L.FIB4_LEAF && u32[last + specifics] === 0) {
      const length = u8[last * 4 + L.PLY_LENGTHS]!;
      u8[middle * 4 + L.PLY_LENGTHS + second] = length;
      if (length <= 16) u32[middle + specifics]! -= 1;
      Atomics.store(u32, middle + second, u32[last]!);
      this.#retire(last);
    }
    if (u32[middle + specifics] !== 0) return;
    u8[this.address + L.FIB4_ROOT_LENGTHS + slot] = u8[middle * 4 + L.PLY_LENGTHS]!;
    Atomics.store(u32, this.#root + slot, u32[middle]!);
    this.#retire(middle);
  }

  #retire(ply: number): void {
    this.#reclaimer.defer(() => {
      this.#plies.give(ply);
      this.#memory.u32[(this.address + L.FIB4_PLIES) >>> 2] = this.#plies.used;
    });
  }
}

/** The root's slot for the first two bytes of an address. */
function rootSlot(high: number): number {
  return ((high & 255) << 8) | (high >>> 8);
}

function truncate(address: number, length: number): number {
  return length === 0 ? 0 : (address & (-1 << (32 - length))) >>> 0;
}

function check(address: number, length: number): void {
  if (!Number.isInteger(length) || length < 0 || length > 32) {
    throw new FibError('LBD_FIB_PREFIX', `prefix length ${length} must be from 0 to 32`);
  }
  if (!Number.isInteger(address) || address < 0 || address > 0xffffffff || truncate(address, length) !== address) {
    throw new FibError(
      'LBD_FIB_PREFIX',
      `address ${address} must be a 32-bit number with all bits behind the first ${length} zero`,
    );
  }
}
