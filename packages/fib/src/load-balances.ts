import type { Arena, Memory } from '@lbd/memory';
import { IndexPool } from './index-pool.ts';
import * as L from './layout.ts';
import type { Reclaimer } from './reclaimer.ts';

const CAPACITY = 65536;

/** One of several ways that a load balance spreads flows over. */
export interface WeightedDpo {
  readonly dpo: number;
  /** 1 or more. */
  readonly weight: number;
}

/** Sets of several DPOs that flows are spread over. Sets are shared: the same members give the same index. */
export class LoadBalances {
  /** Address of the table of u32 block addresses. */
  readonly address: number;
  readonly #arena: Arena;
  readonly #memory: Memory;
  readonly #reclaimer: Reclaimer;
  readonly #pool = new IndexPool('load balances', CAPACITY);
  readonly #byKey = new Map<string, number>();
  readonly #live = new Map<
    number,
    { key: string; block: number; members: readonly WeightedDpo[]; references: number }
  >();

  constructor(arena: Arena, reclaimer: Reclaimer) {
    this.#arena = arena;
    this.#memory = arena.memory;
    this.#reclaimer = reclaimer;
    this.address = arena.allocate('load balances', CAPACITY * 4);
  }

  /** The index for these members; each call wants a {@link release}. @throws FibError, OutOfMemoryError */
  acquire(members: readonly WeightedDpo[]): number {
    const key = members.map(({ dpo, weight }) => `${dpo}*${weight}`).join(' ');
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      this.#live.get(known)!.references++;
      return known;
    }
    const buckets = fillBuckets(members);
    const block = this.#arena.allocate('load balance', L.LOAD_BALANCE_BUCKETS + buckets.length * 4);
    const { u32 } = this.#memory;
    u32[(block + L.LOAD_BALANCE_MASK) >>> 2] = buckets.length - 1;
    u32.set(buckets, (block + L.LOAD_BALANCE_BUCKETS) >>> 2);
    const index = this.#pool.take();
    Atomics.store(u32, (this.address >>> 2) + index, block);
    this.#byKey.set(key, index);
    this.#live.set(index, { key, block, members, references: 1 });
    return index;
  }

  /** Gives back what {@link acquire} gave. */
  release(index: number): void {
    const balance = this.#live.get(index);
    if (!balance || --balance.references > 0) return;
    this.#live.delete(index);
    this.#byKey.delete(balance.key);
    this.#reclaimer.defer(() => {
      this.#arena.free(balance.block);
      this.#pool.give(index);
    });
  }

  members(index: number): readonly WeightedDpo[] {
    return this.#live.get(index)?.members ?? [];
  }

  /** The DPO words in the buckets. */
  buckets(index: number): Uint32Array {
    const block = this.#memory.u32[(this.address >>> 2) + index]!;
    const at = (block + L.LOAD_BALANCE_BUCKETS) >>> 2;
    return this.#memory.u32.slice(at, at + this.#memory.u32[(block + L.LOAD_BALANCE_MASK) >>> 2]! + 1);
  }
}

/** A power of two of buckets, each member's share of them as near to its weight as can be (largest remainders). */
export function fillBuckets(members: readonly WeightedDpo[]): number[] {
  const total = members.reduce((sum, { weight }) => sum + weight, 0);
  const even = (total & (total - 1)) === 0 && total <= L.LOAD_BALANCE_MAX_BUCKETS;
  const size = even ? total : L.LOAD_BALANCE_MAX_BUCKETS;
  const shares = members.map(({ weight }, i) => ({ i, exact: (weight * size) / total }));
  const counts = shares.map(({ exact }) => Math.floor(exact));
  let left = size - counts.reduce((sum, n) => sum + n, 0);
  for (const { i } of shares.toSorted((a, b) => (b.exact % 1) - (a.exact % 1))) if (left-- > 0) counts[i]!++;
  return members.flatMap(({ dpo }, i) => new Array<number>(counts[i]!).fill(dpo));
}
