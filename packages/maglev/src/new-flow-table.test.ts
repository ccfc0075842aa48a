import { Arena } from '@lbd/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillNewFlowTable, maglev, NO_SERVER } from './new-flow-table.ts';
import type { MaglevServer } from './servers.ts';

const M = (1n << 64n) - 1n;
const rotl = (x: bigint, r: bigint) => ((x << r) | (x >> (64n - r))) & M;

/** XXH64 of eight bytes, from its specification. */
function xxh64(word: bigint, seed: bigint): bigint {
  const [p1, p2, p3, p4, p5] = [
    11400714785074694791n,
    14029467366897019727n,
    1609587929392839161n,
    9650029242287828579n,
    2870177450012600261n,
  ] as const;
  let acc = (seed + p5 + 8n) & M;
  acc ^= (rotl((word * p2) & M, 31n) * p1) & M;
  acc = (rotl(acc, 27n) * p1 + p4) & M;
  acc ^= acc >> 33n;
  acc = (acc * p2) & M;
  acc ^= acc >> 29n;
  acc = (acc * p3) & M;
  return acc ^ (acc >> 32n);
}

/** The table word for word as it is described: every replica in a list, the list sorted, one slot a turn. */
function model(length: number, servers: readonly MaglevServer[]): number[] {
  const table = new Array<number>(length).fill(-1);
  const replicas = servers.flatMap((server, place) => {
    const address = [...new Array<number>(16 - server.address.length).fill(0), ...server.address];
    return Array.from({ length: server.weight ?? 100 }, (_, replica) => ({ replica, address, place }));
  });
  if (replicas.length === 0) return table.fill(NO_SERVER);
  replicas.sort((a, b) => a.replica - b.replica || Buffer.compare(Buffer.from(a.address), Buffer.from(b.address)));
  const little = (bytes: number[]) => bytes.reduceRight((word, byte) => (word << 8n) | BigInt(byte), 0n);
  const states = replicas.map(({ replica, address, place }) => {
    const word = little(address.slice(0, 8)) ^ little(address.slice(8)) ^ BigInt(replica);
    const seed = xxh64(word, 0x9e3779b97f4a7c13n);
    const mask = BigInt(length - 1);
    return { skip: Number(((seed & 0xffffffffn) | 1n) & mask), next: Number((seed >> 32n) & mask), place };
  });
  for (let filled = 0; filled < length; ) {
    for (const state of states) {
      while (table[state.next] !== -1) state.next = (state.next + state.skip) & (length - 1);
      table[state.next] = state.place;
      if (++filled === length) break;
    }
  }
  return table;
}

const counts = (table: Iterable<number>, n: number) => {
  const result = new Array<number>(n).fill(0);
  for (const place of table) result[place]!++;
  return result;
};
const ip4 = (i: number) => Uint8Array.of(10, 1, i >> 8, i & 255);
const some = (n: number, weight = 100) => Array.from({ length: n }, (_, i) => ({ address: ip4(i + 1), weight }));

const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((bytes) => bytes.subarray(0, 12).some((byte) => byte !== 0)),
);
const server = fc.record({ address, weight: fc.oneof(fc.constantFrom(0, 1, 100), fc.integer({ min: 0, max: 100 })) });
const servers = fc.uniqueArray(server, {
  maxLength: 40,
  size: 'max',
  selector: ({ address }) => Buffer.from(address).toString('hex'),
});
const length = fc.integer({ min: 0, max: 12 }).map((log2) => 2 ** log2);

describe('maglev', () => {
  it('shares as VPP documents: 256 each; 150/292/291/291; 208/0/408/408', () => {
    const list = some(4);
    expect(counts(maglev(1024, list), 4)).toEqual([256, 256, 256, 256]);
    list[0]!.weight = 50;
    expect(counts(maglev(1024, list), 4)).toEqual([150, 292, 291, 291]);
    list[1]!.weight = 0;
    expect(counts(maglev(1024, list), 4)).toEqual([208, 0, 408, 408]);
  });

  it('is the table as described, slot by slot', () => {
    fc.assert(
      fc.property(length, servers, (len, list) => {
        expect([...maglev(len, list)]).toEqual(model(len, list));
      }),
      { numRuns: 60 },
    );
  });

  it('is the table as described when there are more replicas than slots', () => {
    expect([...maglev(1024, some(300, 7))]).toEqual(model(1024, some(300, 7)));
  });

  it('does not depend on the order of servers', () => {
    const shuffled = servers.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    fc.assert(
      fc.property(length, shuffled, (len, [list, other]) => {
        const owners = (of: typeof list) => [...maglev(len, of)].map((place) => of[place]);
        expect(owners(other)).toEqual(owners(list));
      }),
      { numRuns: 40 },
    );
  });

  it('gives equal weights equal shares, to one slot a replica', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 100 }), (n, weight) => {
        const shares = counts(maglev(16384, some(n, weight)), n);
        const rounds = 16384 / (n * weight);
        // Each replica gets the slots of every full round, and at most one more.
        for (const share of shares) {
          expect(share).toBeGreaterThanOrEqual(Math.floor(rounds) * weight);
          expect(share).toBeLessThanOrEqual(Math.ceil(rounds) * weight);
        }
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(weight);
      }),
      { numRuns: 25 },
    );
  });

  it('shares by weight, within two percent of the table', () => {
    const weighted = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 20, size: 'max' });
    fc.assert(
      fc.property(weighted, (weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const list = weights.map((weight, i) => ({ address: ip4(i + 1), weight }));
        counts(maglev(65536, list), weights.length).forEach((share, i) => {
          expect(Math.abs(share / 65536 - weights[i]! / total)).toBeLessThan(0.02);
        });
      }),
      { numRuns: 20 },
    );
  });

  it('moves few flows of the others when a server goes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 50 }), fc.nat(), (n, pick) => {
        const list = some(n);
        const gone = pick % n;
        const before = maglev(65536, list);
        const after = maglev(
          65536,
          list.map((s, i) => (i === gone ? { ...s, weight: 0 } : s)),
        );
        let moved = 0;
        for (let i = 0; i < before.length; i++) if (before[i] !== gone && before[i] !== after[i]) moved++;
        // Its own share must move; of the others' slots, the Maglev paper (section 5.3) sees a few percent.
        expect(moved / 65536).toBeLessThan(0.1);
        expect(after.includes(gone)).toBe(false);
      }),
      { numRuns: 15 },
    );
  });

  it('has no server if none has a weight', () => {
    expect([...maglev(4, [])]).toEqual([NO_SERVER, NO_SERVER, NO_SERVER, NO_SERVER]);
    expect([...maglev(2, some(3, 0))]).toEqual([NO_SERVER, NO_SERVER]);
  });

  it.each([0, -1, 3, 1000, 1.5, 2 ** 25, Number.NaN])('refuses length %s', (len) => {
    expect(() => maglev(len, some(1))).toThrow(expect.objectContaining({ code: 'LBD_MAGLEV_LENGTH' }));
  });

  it('refuses bad weights and addresses, and an address that comes twice', () => {
    const thrown = (code: string) => expect.objectContaining({ code });
    for (const weight of [-1, 101, 1.5]) {
      expect(() => maglev(4, some(1, weight))).toThrow(thrown('LBD_MAGLEV_WEIGHT'));
    }
    expect(() => maglev(4, [{ address: new Uint8Array(5) }])).toThrow(thrown('LBD_MAGLEV_ADDRESS'));
    expect(() => maglev(4, [...some(1), ...some(1)])).toThrow(thrown('LBD_MAGLEV_DUPLICATE'));
    expect(() =>
      maglev(4, [{ address: ip4(1) }, { address: Uint8Array.of(...new Uint8Array(12), ...ip4(1)) }]),
    ).toThrow(thrown('LBD_MAGLEV_DUPLICATE'));
  });
});

describe('fillNewFlowTable', () => {
  it('writes values and nothing beside, and gives its scratch memory back', () => {
    const arena = Arena.create(2 ** 24);
    const address = arena.allocate('guarded table', 64 + 1024 * 4 + 64) + 64;
    const words = arena.memory.u32;
    words.fill(0xa5a5a5a5, address / 4 - 16, address / 4 + 1024 + 16);
    const before = arena.allocations();
    const list = some(4).map((s, i) => ({ ...s, value: 1000 + i }));
    for (let i = 0; i < 100; i++) fillNewFlowTable(arena, address, 1024, list);
    expect([...words.subarray(address / 4, address / 4 + 1024)]).toEqual(
      model(1024, list).map((place) => 1000 + place),
    );
    for (let i = 1; i <= 16; i++) {
      expect([words[address / 4 - i], words[address / 4 + 1023 + i]]).toEqual([0xa5a5a5a5, 0xa5a5a5a5]);
    }
    expect(arena.allocations()).toEqual(before);
    const left = arena.remaining;
    fillNewFlowTable(arena, address, 1024, list);
    expect(arena.remaining).toBe(left);
  });

  it('writes 0 throughout without servers', () => {
    const arena = Arena.create(2 ** 20);
    const address = arena.allocate('table', 64);
    arena.memory.u32.fill(7, address / 4, address / 4 + 16);
    fillNewFlowTable(arena, address, 16, [{ address: ip4(1), weight: 0, value: 5 }]);
    expect([...arena.memory.u32.subarray(address / 4, address / 4 + 16)]).toEqual(new Array(16).fill(0));
  });
});
