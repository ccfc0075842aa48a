import { Arena } from '@lbd/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUCKET_BYTES, BUCKET_EXPIRY, STICKY_BYTES } from './layout.ts';
import { StickyTable } from './sticky-table.ts';

interface Packet {
  hash: number;
  vip: number;
  newflow: number;
}
interface Entry extends Omit<Packet, 'newflow'> {
  as: number;
  expiry: number;
}
type Counters = [existing: number, first: number, untracked: number, noServer: number];

/** The rules, said simply: a bucket is a list of at most four live flows; each flow may be in two. */
class Model {
  readonly buckets: Entry[][];
  readonly counters: Counters = [0, 0, 0, 0];
  constructor(
    buckets: number,
    readonly timeout: number,
  ) {
    this.buckets = Array.from({ length: buckets }, () => []);
  }
  packet({ hash, vip, newflow }: Packet, now: number): number {
    const entry = this.find(hash, vip, now);
    if (entry) {
      entry.expiry = now + this.timeout;
      this.counters[0]++;
      return entry.as;
    }
    if (newflow === 0) this.counters[3]++;
    else if (this.insert({ hash, vip, as: newflow, expiry: now + this.timeout }, now)) this.counters[1]++;
    else this.counters[2]++;
    return newflow;
  }
  find(hash: number, vip: number, now: number): Entry | undefined {
    return this.places(hash)
      .flatMap((index) => this.live(now, index))
      .find((e) => e.hash === hash && e.vip === vip);
  }
  /** To the first of its buckets that has room; false if none has. */
  insert(entry: Entry, now: number): boolean {
    const index = this.places(entry.hash).find((i) => this.live(now, i).length < 4);
    if (index === undefined) return false;
    this.buckets[index] = [...this.live(now, index), entry];
    return true;
  }
  /** A flow's own bucket, and the one half a table away. */
  places(hash: number): number[] {
    const { length } = this.buckets;
    return [hash % length, (hash + Math.floor(length / 2)) % length];
  }
  live(now: number, index?: number): Entry[] {
    const entries = index === undefined ? this.buckets.flat() : this.buckets[index]!;
    return entries.filter((e) => e.expiry > now);
  }
}

/** A table with room for vectors of up to 256 packets. */
class Bench {
  readonly arena: Arena;
  readonly #vector: number;
  readonly #counters: number;
  constructor(arena = Arena.create(2 ** 22)) {
    this.arena = arena;
    this.#vector = arena.allocate('vector', 4 * 1024);
    this.#counters = arena.allocate('counters', 64);
  }
  run(table: StickyTable, packets: readonly Packet[], now: number): number[] {
    const { u32 } = this.arena.memory;
    const [hashes, vips, newflow, out] = [0, 1, 2, 3].map((i) => this.#vector + i * 1024) as [
      number,
      number,
      number,
      number,
    ];
    packets.forEach((packet, i) => {
      u32[hashes / 4 + i] = packet.hash;
      u32[vips / 4 + i] = packet.vip;
      u32[newflow / 4 + i] = packet.newflow;
    });
    table.lookup({ hashes, vips, newflow, out, count: packets.length, counters: this.#counters }, now);
    return [...u32.subarray(out / 4, out / 4 + packets.length)];
  }
  counters(): number[] {
    return [0, 1, 2, 3].map((i) => Number(this.arena.memory.u64[this.#counters / 8 + i]));
  }
  resetCounters(): void {
    this.arena.memory.u64.fill(0n, this.#counters / 8, this.#counters / 8 + 4);
  }
}

const bench = new Bench();
const sorted = (entries: Iterable<Entry>) =>
  [...entries].map((e) => JSON.stringify([e.hash, e.vip, e.as, e.expiry])).sort();
const tally = (entries: Entry[], of: (entry: Entry) => number) => {
  const counts = new Map<number, number>();
  for (const entry of entries) counts.set(of(entry), (counts.get(of(entry)) ?? 0) + 1);
  return counts;
};

// Few different hashes in few buckets, so that buckets fill; some hashes have their top bit set.
const hash = fc.tuple(fc.integer({ min: 0, max: 40 }), fc.boolean()).map(([n, high]) => (high ? n + 0x80000000 : n));
const packet = fc.record({ hash, vip: fc.integer({ min: 0, max: 3 }), newflow: fc.integer({ min: 0, max: 5 }) });
const step = fc.record({
  wait: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 8 })),
  packets: fc.array(packet, { maxLength: 40, size: 'max' }),
});
const steps = fc.array(step, { maxLength: 25, size: 'max' });
const filter = fc.record(
  { as: fc.integer({ min: 0, max: 6 }), vip: fc.integer({ min: 0, max: 4 }) },
  { requiredKeys: [] },
);
const matches = (f: { as?: number; vip?: number }) => (e: Entry) =>
  (f.as ?? e.as) === e.as && (f.vip ?? e.vip) === e.vip;

describe('StickyTable', () => {
  it('follows the rules: refresh, insert, expiry, full buckets, no server', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 8),
        fc.integer({ min: 1, max: 10 }),
        steps,
        filter,
        (buckets, timeout, list, f) => {
          const table = StickyTable.create(bench.arena, { buckets, timeout });
          const model = new Model(buckets, timeout);
          bench.resetCounters();
          let now = 1000;
          for (const { wait, packets } of list) {
            now += wait;
            expect(bench.run(table, packets, now)).toEqual(packets.map((p) => model.packet(p, now)));
            expect(bench.counters()).toEqual(model.counters);
          }
          const live = model.live(now);
          expect(sorted(table.entries(now))).toEqual(sorted(live));
          expect(table.usage(now)).toEqual({ live: live.length, capacity: buckets * 4 });
          expect(table.countByAs(now)).toEqual(tally(live, (e) => e.as));
          expect(table.countByVip(now)).toEqual(tally(live, (e) => e.vip));
          expect(table.count(f, now)).toBe(live.filter(matches(f)).length);
          expect(table.flush(f, now)).toBe(live.filter(matches(f)).length);
          expect(sorted(table.entries(now))).toEqual(sorted(live.filter((e) => !matches(f)(e))));
          table.free(bench.arena);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('counts by server and VIP in a kernel, and leaves out what the array has no room for', () => {
    const table = StickyTable.create(bench.arena, { buckets: 64 });
    const packets = Array.from({ length: 200 }, (_, i) => ({ hash: i, vip: i % 7, newflow: 1 + (i % 5) }));
    bench.run(table, packets, 1000);
    const counts = bench.arena.allocate('counts', 64);
    const { u32 } = bench.arena.memory;
    table.countByAsInto(counts, 4, 1000);
    expect([...u32.subarray(counts / 4, counts / 4 + 6)]).toEqual([0, 40, 40, 40, 0, 0]);
    u32.fill(0, counts / 4, counts / 4 + 16);
    table.countByVipInto(counts, 16, 1000);
    expect([...u32.subarray(counts / 4, counts / 4 + 8)]).toEqual([29, 29, 29, 29, 28, 28, 28, 0]);
    u32.fill(0, counts / 4, counts / 4 + 16);
    table.countByAsInto(counts, 16, 1040);
    expect([...u32.subarray(counts / 4, counts / 4 + 16)]).toEqual(new Array(16).fill(0));
  });

  it('never evicts: the ninth flow of two buckets goes untracked until one is over', () => {
    const table = StickyTable.create(bench.arena, { buckets: 16, timeout: 40 });
    // Every second one's own bucket is that half a table away.
    const flow = (n: number, newflow: number) => ({ hash: n * 8, vip: 1, newflow });
    const eight = [1, 2, 3, 4, 5, 6, 7, 8];
    expect(
      bench.run(
        table,
        eight.map((n) => flow(n, n)),
        1000,
      ),
    ).toEqual(eight);
    // The ninth goes where the new-flow table says at each moment; the others stay.
    expect(bench.run(table, [flow(9, 7)], 1000)).toEqual([7]);
    const others = eight.filter((n) => n !== 4);
    expect(bench.run(table, [flow(9, 8), ...others.map((n) => flow(n, 9))], 1039)).toEqual([8, ...others]);
    // Flow 4 is over at 1040, to the second.
    expect(bench.run(table, [flow(9, 6)], 1040)).toEqual([6]);
    expect(bench.run(table, [flow(9, 9), flow(4, 9)], 1040)).toEqual([6, 9]);
    expect(table.usage(1040).live).toBe(8);
  });

  /** Live flows of each bucket. */
  const occupied = (table: StickyTable, now: number) =>
    Array.from({ length: table.buckets }, (_, bucket) => {
      const at = (table.address + STICKY_BYTES + bucket * BUCKET_BYTES + BUCKET_EXPIRY) / 4;
      return [...bench.arena.memory.i32.subarray(at, at + 4)].filter((expiry) => expiry > now).length;
    });

  it('gives a flow whose own bucket is full a place half a table away, and finds it there', () => {
    const table = StickyTable.create(bench.arena, { buckets: 8, timeout: 40 });
    const other = StickyTable.create(bench.arena, { buckets: 16, timeout: 40 });
    const flows = [1, 2, 3, 4, 5].map((n) => ({ hash: n * 16 + 1, vip: 1, newflow: n }));
    const fifth = flows[4]!;
    bench.run(table, flows, 1000);
    expect(occupied(table, 1000)).toEqual([0, 4, 0, 0, 0, 1, 0, 0]);
    // It keeps its server, its time, and a state there, though there is room in its own bucket now.
    expect(table.flush({ as: 2 }, 1000)).toBe(1);
    expect(bench.run(table, [{ ...fifth, newflow: 9 }], 1030)).toEqual([5]);
    expect(table.setState(fifth, 0xabcdef, 1030)).toBe(true);
    expect(occupied(table, 1041)).toEqual([0, 0, 0, 0, 0, 1, 0, 0]);
    expect(bench.run(table, [{ ...fifth, newflow: 9 }], 1069)).toEqual([5]);
    expect(table.state(fifth, 1069)).toBe(0xabcdef);
    expect(table.count({ as: 5, vip: 1 }, 1069)).toBe(1);
    // In another table it is in its own bucket, if there is room.
    expect(table.copyTo(other, 1069)).toBe(0);
    expect(occupied(other, 1069)).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(other.state(fifth, 1069)).toBe(0xabcdef);
    expect(table.flush({ vip: 1 }, 1069)).toBe(1);
    expect(bench.run(table, [{ ...fifth, newflow: 9 }], 1069)).toEqual([9]);
    expect(occupied(table, 1069)).toEqual([0, 1, 0, 0, 0, 0, 0, 0]);
  });

  it('takes no entry for a flow without a server, and the server that comes next', () => {
    const table = StickyTable.create(bench.arena, { buckets: 16 });
    expect(bench.run(table, [{ hash: 5, vip: 1, newflow: 0 }], 1000)).toEqual([0]);
    expect(table.usage(1000).live).toBe(0);
    expect(bench.run(table, [{ hash: 5, vip: 1, newflow: 3 }], 1000)).toEqual([3]);
  });

  it('knows whole hashes in a table so large that lines are touched by stores', () => {
    const table = StickyTable.create(bench.arena, { buckets: 512 });
    const packets = Array.from({ length: 256 }, (_, i) => ({
      hash: Math.imul(i + 1, 0x9e3779b1) >>> 0,
      vip: 0xffff - i,
      newflow: 0xffffff - i,
    }));
    const servers = packets.map(({ newflow }) => newflow);
    expect(bench.run(table, packets, 1000)).toEqual(servers);
    expect(
      bench.run(
        table,
        packets.map((packet) => ({ ...packet, newflow: 1 })),
        1001,
      ),
    ).toEqual(servers);
    const expected = packets.map(({ hash, vip, newflow }) => ({ hash, vip, as: newflow, expiry: 1041 }));
    expect(sorted(table.entries(1001))).toEqual(sorted(expected));
  });

  it('keeps 24 bits with a flow, beside all else', () => {
    const [table, other] = [256, 16].map((buckets) => StickyTable.create(bench.arena, { buckets, timeout: 20 }));
    const flows = [0, 1, 2, 3].map((i) => ({ hash: i * 256 + 7, vip: 0xffff - i, newflow: 0xffffff - i }));
    const servers = flows.map(({ newflow }) => newflow);
    bench.run(table!, flows, 1000);
    const before = [...table!.entries(1000)];
    expect(flows.map((flow) => table!.state(flow, 1000))).toEqual([0, 0, 0, 0]);
    const states = [0xffffff, 0x10000, 0x80ff, 0xabcdef];
    flows.forEach((flow, i) => {
      expect(table!.setState(flow, states[i]!, 1000)).toBe(true);
    });
    expect(flows.map((flow) => table!.state(flow, 1000))).toEqual(states);
    expect([...table!.entries(1000)]).toEqual(before);
    expect(bench.run(table!, flows, 1000)).toEqual(servers);
    for (const { vip, newflow: as } of flows) {
      expect([table!.count({ vip }, 1000), table!.count({ as }, 1000)]).toEqual([1, 1]);
      expect(table!.countByVip(1000).get(vip)).toBe(1);
      expect(table!.countByAs(1000).get(as)).toBe(1);
    }
    table!.copyTo(other!, 1000);
    expect(flows.map((flow) => other!.state(flow, 1000))).toEqual(states);
    expect(table!.flush({ as: flows[0]!.newflow }, 1000)).toBe(1);
    expect(table!.setState(flows[0]!, 5, 1000)).toBe(false);
    // What comes to its place starts with none.
    bench.run(table!, [flows[0]!], 1000);
    expect(flows.map((flow) => table!.state(flow, 1000))).toEqual([0, ...states.slice(1)]);
    expect(table!.state(flows[1]!, 1020)).toBe(0);
  });

  it('may lie anywhere in a memory of 4 GiB', () => {
    const arena = Arena.create(3 * 2 ** 30);
    arena.allocate('address space', 2.5 * 2 ** 30);
    const table = StickyTable.create(arena, { buckets: 16 });
    expect(table.address).toBeGreaterThan(2 ** 31);
    new Bench(arena).run(table, [{ hash: 7, vip: 1, newflow: 9 }], 1000);
    expect([...table.entries(1000)]).toMatchObject([{ hash: 7, vip: 1, as: 9 }]);
    expect(StickyTable.attach(arena.memory, table.address)).toMatchObject({ buckets: 16, timeout: 40 });
    expect(table.flushPart(() => true, 0, 16)).toBe(1);
  });

  it('takes over the flows of another table bit by bit, while packets go on', () => {
    const wide = fc.integer({ min: 0, max: 0xffffffff });
    const flows = fc.uniqueArray(wide, { minLength: 1, maxLength: 60 });
    const sizes = fc.constantFrom<[number, number]>([64, 256], [64, 1024], [512, 128], [64, 64]);
    const stepsOf = fc.array(fc.tuple(fc.integer({ min: 1, max: 200 }), fc.array(fc.nat(1000), { maxLength: 20 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(sizes, flows, stepsOf, ([before, after], hashes, parts) => {
        const [old, table] = [before, after].map((buckets) => StickyTable.create(bench.arena, { buckets })) as [
          StickyTable,
          StickyTable,
        ];
        const ask = (from: StickyTable, which: readonly number[], newflow: number) =>
          bench.run(
            from,
            which.map((hash) => ({ hash, vip: 3, newflow })),
            1000,
          );
        // Flows with room for all of them, so that none may be lost.
        const known = new Map<number, number>();
        hashes.forEach((hash, i) => {
          ask(old, [hash], i + 1);
          if (old.count({ as: i + 1 }, 1000) === 1) known.set(hash, i + 1);
        });
        for (const [hash, as] of known) old.setState({ hash, vip: 3 }, as * 7, 1000);
        const step = table.takeOver(old);
        expect(table.old?.address).toBe(old.address);
        let done = false;
        const all = [...known.keys()];
        for (const [buckets, packets] of [...parts, [before, []] as const]) {
          // Packets of flows that are known, and of new ones.
          const asked = packets.map((n) => all[n % all.length]!);
          expect(ask(table, asked, 999)).toEqual(asked.map((hash) => known.get(hash)));
          for (const n of packets) {
            if (n % 5 !== 0 || known.has(n * 31)) continue;
            ask(table, [n * 31], 5000 + n);
            if (table.count({ as: 5000 + n }, 1000) === 1) known.set(n * 31, 5000 + n);
          }
          // Each is in one of the two, once.
          expect(old.usage(1000).live + table.usage(1000).live).toBe(known.size);
          done ||= step(buckets, 1000);
        }
        expect(done).toBe(true);
        expect(table.old).toBeUndefined();
        const left = [...known.keys()];
        expect(ask(table, left, 999)).toEqual(left.map((hash) => known.get(hash)));
        expect(left.map((hash) => table.state({ hash, vip: 3 }, 1000) % 7)).toEqual(left.map(() => 0));
        expect(table.usage(1000).live).toBe(known.size);
        for (const one of [old, table]) one.free(bench.arena);
      }),
      { numRuns: 200 },
    );
  });

  it('flushes part by part what a flush of all at once would', () => {
    const all = StickyTable.create(bench.arena, { buckets: 64 });
    const parts = StickyTable.create(bench.arena, { buckets: 64 });
    const asked = Array.from({ length: 200 }, (_, i) => ({ hash: i * 7919, vip: i % 5, newflow: 1 + (i % 7) }));
    for (const table of [all, parts]) bench.run(table, asked, 1000);
    const wanted = (as: number, vip: number) => as === 3 || vip === 2;
    const ended = [0, 10, 20, 30, 40, 50, 60].map((from) => parts.flushPart(wanted, from, from + 10));
    expect(ended.reduce((sum, n) => sum + n)).toBe(all.flush(({ as, vip }) => wanted(as, vip), 0));
    expect([...parts.entries(1000)]).toEqual([...all.entries(1000)]);
    expect(parts.flushPart(() => true, 63, 1000)).toBe(
      [...all.entries(1000)].filter(({ hash }) => hash % 64 === 63).length,
    );
  });

  it('flushes by any predicate', () => {
    const table = StickyTable.create(bench.arena, { buckets: 16 });
    bench.run(
      table,
      [1, 2, 3, 4, 5].map((n) => ({ hash: n, vip: n, newflow: n })),
      1000,
    );
    expect(table.flush(({ vip }) => vip % 2 === 1, 1000)).toBe(3);
    expect([...table.entries(1000)].map(({ as }) => as)).toEqual([2, 4]);
  });

  it('keeps flows when it is resized, as far as buckets have room', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 4, 16), fc.constantFrom(1, 2, 4, 64), steps, (before, after, list) => {
        const [table, other] = [before, after].map((buckets) =>
          StickyTable.create(bench.arena, { buckets, timeout: 20 }),
        );
        let now = 1000;
        for (const { wait, packets } of list) {
          now += wait;
          bench.run(table!, packets, now);
        }
        const entries = [...table!.entries(now)];
        const lost = table!.copyTo(other!, now);
        const copied = [...other!.entries(now)];
        // An entry is lost only where both its new buckets are full.
        const model = new Model(after, 20);
        expect(lost).toBe(entries.filter((entry) => !model.insert(entry, now)).length);
        expect(sorted(copied)).toEqual(sorted(model.live(now)));
        // They are found there.
        const packets = copied.slice(0, 256).map((e) => ({ hash: e.hash, vip: e.vip, newflow: 99 }));
        expect(bench.run(other!, packets, now)).toEqual(copied.slice(0, 256).map((e) => e.as));
        table!.free(bench.arena);
        other!.free(bench.arena);
      }),
      { numRuns: 60 },
    );
  });

  it('can be attached to', () => {
    const table = StickyTable.create(bench.arena, { buckets: 32, timeout: 7 });
    expect(StickyTable.attach(bench.arena.memory, table.address)).toMatchObject({
      buckets: 32,
      capacity: 128,
      timeout: 7,
    });
  });

  it('writes nothing outside its allocation', () => {
    const arena = Arena.create(2 ** 20);
    const [before, table, after] = [
      arena.allocate('before', 64),
      StickyTable.create(arena, { buckets: 1 }),
      arena.allocate('after', 64),
    ];
    arena.memory.u8.fill(0xa5, before, before + 64).fill(0xa5, after, after + 64);
    const vector = arena.allocate('vector', 4096);
    for (let i = 0; i < 64; i++) arena.memory.u32.fill(i + 1, vector / 4 + i, vector / 4 + i + 1);
    table.lookup(
      { hashes: vector, vips: vector, newflow: vector, out: vector + 1024, count: 64, counters: vector + 2048 },
      1,
    );
    expect(table.flush({}, 1)).toBe(4);
    for (const at of [before, after]) {
      expect(arena.memory.u8.subarray(at, at + 64).every((byte) => byte === 0xa5)).toBe(true);
    }
  });

  it.each([
    { buckets: 0 },
    { buckets: 3 },
    { buckets: 2 ** 25 },
    { timeout: 0 },
    { timeout: 1.5 },
    { timeout: 2 ** 31 },
  ])('refuses %o', (options) => {
    const arena = Arena.create(2 ** 20);
    expect(() => StickyTable.create(arena, options)).toThrow(expect.objectContaining({ code: 'LBD_STICKY_OPTIONS' }));
    expect(arena.allocations()).toEqual([]);
  });
});
