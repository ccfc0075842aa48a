import { randomBytes } from 'node:crypto';
import { Bihash } from '@lbd/bihash';
import { FlowHash, type FlowHashKind } from '@lbd/maglev';
import type { Arena, Memory } from '@lbd/memory';
import { StickyTable } from '@lbd/sticky';
import { LbError } from './errors.ts';
import { allocateFragments } from './fragments.ts';
import * as L from './layout.ts';
import { allocateTunnelEnds } from './tunnel-ends.ts';

/** Where the load balancer's tables are. Plain data, the same in every thread. */
export interface LbHandles {
  readonly vips: number;
  readonly servers: number;
  readonly ports: number;
  /** Addresses of the two flow hashes. */
  readonly flowHashes: Readonly<Record<FlowHashKind, number>>;
  /** Per worker: address of the block that its nodes share (LB_ words). */
  readonly blocks: readonly number[];
  /** Per worker: address of its VIP counters. */
  readonly counters: readonly number[];
  /** Per worker: the fragments that wait for the first of their datagram (HELD_ words). */
  readonly held: readonly number[];
  /** Addresses of the servers that packets are tunnelled to: a bihash, see tunnel-layout.ts. */
  readonly tunnelEnds: number;
  readonly maxVips: number;
  readonly maxServers: number;
}

export interface LbSizes {
  readonly workers: number;
  /** VIPs, at most; 65,536 and no more. Address space only: a record takes RAM when it is used. */
  readonly maxVips?: number;
  /** Servers of all VIPs together, at most; 16,777,216 and no more. */
  readonly maxServers?: number;
  /** Sticky buckets of each worker, a power of two. */
  readonly buckets?: number;
  /** Flow timeout, seconds. */
  readonly timeout?: number;
  /** 16 bytes that nobody should know, for the sticky tables' hash; random unless told. */
  readonly secret?: Uint8Array;
}

/** Sticky entries have 16 bits for the VIP and 24 for the server. */
const MAX_VIPS = 1 << 16;
const MAX_SERVERS = 1 << 24;
const DEFAULTS = { maxVips: 16384, maxServers: 1 << 20, buckets: 1024, timeout: 40 };

/** Allocates the tables. @throws RangeError if a size is out of range, OutOfMemoryError */
export function allocateLb(arena: Arena, sizes: LbSizes): LbHandles {
  const { workers, maxVips, maxServers, buckets, timeout, secret } = { ...DEFAULTS, secret: randomBytes(16), ...sizes };
  if (secret.length !== 16) throw new RangeError(`a secret of ${secret.length} bytes: must be 16`);
  checkSize('maxVips', maxVips, MAX_VIPS);
  checkSize('maxServers', maxServers, MAX_SERVERS);
  const { memory } = arena;
  const vips = arena.allocate('lb: VIPs', maxVips << L.VIP_SHIFT);
  const servers = arena.allocate('lb: application servers', maxServers << L.AS_SHIFT);
  const ports = Bihash.create(arena, {
    label: 'lb: per-port VIPs',
    keyBytes: 8,
    buckets: 4096,
    memoryBytes: Math.max(maxVips * 64, 1 << 20),
  }).address;
  const flowHashes = {
    crc32c: FlowHash.create(arena).address,
    keyed: FlowHash.create(arena, { kind: 'keyed' }).address,
  };
  const fragments = allocateFragments(arena, workers);
  const tunnelEnds = allocateTunnelEnds(arena, maxServers);
  const blocks: number[] = [];
  const counters: number[] = [];
  for (let worker = 0; worker < workers; worker++) {
    const block = arena.allocate(`lb: worker ${worker}`, L.LB_BYTES);
    const counter = arena.allocate(`lb: worker ${worker}: VIP counters`, maxVips << L.VIP_COUNTERS_SHIFT);
    const sticky = StickyTable.create(arena, { label: `lb: worker ${worker}: sticky table`, buckets, timeout });
    const words: Array<[number, number]> = [
      [L.LB_VIPS, vips],
      [L.LB_SERVERS, servers],
      [L.LB_STICKY, sticky.address],
      [L.LB_PORTS, ports],
      [L.LB_COUNTERS, counter],
      [L.LB_HASH, flowHashes.crc32c],
      [L.LB_FRAGMENTS, fragments.table],
    ];
    for (const [offset, word] of words) memory.u32[(block + offset) >>> 2] = word;
    memory.u8.set(secret, block + L.LB_SECRET);
    blocks.push(block);
    counters.push(counter);
  }
  return { vips, servers, ports, flowHashes, blocks, counters, held: fragments.held, tunnelEnds, maxVips, maxServers };
}

/** Sets or clears bits of LB_FLAGS, for all workers. */
export function setLbFlag(memory: Memory, lb: LbHandles, flag: number, on: boolean): void {
  for (const block of lb.blocks) {
    const at = (block + L.LB_FLAGS) >>> 2;
    if (on) Atomics.or(memory.u32, at, flag);
    else Atomics.and(memory.u32, at, ~flag);
  }
}

function checkSize(what: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 2 && value <= most) return;
  throw new RangeError(`${what} ${value}: must be from 2 to ${most}`);
}

/** Hands out indices of fixed-size records; index 0 is never used. */
export class RecordPool {
  readonly #what: string;
  readonly #max: number;
  readonly #free: number[] = [];
  #next = 1;

  constructor(what: string, max: number) {
    this.#what = what;
    this.#max = max;
  }

  /** @throws LbError when all are taken */
  take(): number {
    const index = this.#free.pop() ?? this.#next++;
    if (index >= this.#max) {
      this.#next--;
      throw new LbError('LBD_LB_FULL', `there are ${this.#max - 1} ${this.#what} already, the most there can be`);
    }
    return index;
  }

  give(index: number): void {
    this.#free.push(index);
  }

  /** How many more can be taken. */
  get room(): number {
    return this.#free.length + this.#max - this.#next;
  }
}

/** A VIP's four counters, summed over the workers. */
export function readVipCounters(memory: Memory, lb: LbHandles, vip: number) {
  const sum = (counter: number) =>
    Number(
      lb.counters.reduce(
        (n, at) => n + Atomics.load(memory.u64, ((at + (vip << L.VIP_COUNTERS_SHIFT)) >>> 3) + counter),
        0n,
      ),
    );
  return {
    existingSessions: sum(L.VIP_COUNTER_EXISTING),
    firstSession: sum(L.VIP_COUNTER_FIRST),
    untracked: sum(L.VIP_COUNTER_UNTRACKED),
    noServer: sum(L.VIP_COUNTER_NO_SERVER),
  };
}
