import { Arena } from '@lbd/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bihash, type BihashKeyBytes } from './bihash.ts';

const sizes: BihashKeyBytes[] = [8, 16, 24, 40];
const code = (name: string) => expect.objectContaining({ code: name });

/** Key number i: all words depend on it, and in `similar` keys only the last does. */
function keyOf(i: number, keyBytes: number, similar = false): bigint[] {
  const words = new Array<bigint>(keyBytes / 8).fill(7n);
  if (similar) words[words.length - 1] = BigInt(i);
  else
    for (let k = 0; k < words.length; k++)
      words[k] = BigInt.asUintN(64, BigInt(i + 1) * 0x9e3779b97f4a7c15n + BigInt(k));
  return words;
}

describe.each(sizes)('bihash with keys of %i bytes', (keyBytes) => {
  const make = (buckets: number, memoryBytes: number) =>
    Bihash.create(Arena.create(2 ** 25), { keyBytes, buckets, memoryBytes });

  it('does what a Map does', () => {
    // Few keys, few buckets: collisions, splits and linear buckets are usual.
    const key = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.boolean());
    const value = fc.bigInt({ min: 0n, max: 2n ** 64n - 2n });
    const operation = fc.oneof(
      fc.record({ op: fc.constantFrom('set' as const, 'insert' as const), key, value }),
      fc.record({ op: fc.constantFrom('get' as const, 'delete' as const), key }),
    );
    const arena = Arena.create(2 ** 22);
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300, size: 'max' }), (operations) => {
        const table = Bihash.create(arena, { keyBytes, buckets: 4, memoryBytes: 2 ** 18 });
        const model = new Map<string, bigint>();
        for (const step of operations) {
          const words = keyOf(step.key[0], keyBytes, step.key[1]);
          const name = words.join();
          if (step.op === 'set') {
            expect(table.set(words, step.value)).toBe(!model.has(name));
            model.set(name, step.value);
          } else if (step.op === 'insert') {
            expect(table.insert(words, step.value)).toBe(!model.has(name));
            if (!model.has(name)) model.set(name, step.value);
          } else if (step.op === 'get') expect(table.get(words)).toBe(model.get(name));
          else expect(table.delete(words)).toBe(model.delete(name));
        }
        expect(table.size).toBe(model.size);
        expect(new Map([...table.entries()].map((entry) => [entry.key.join(), entry.value]))).toEqual(model);
        for (const { key } of [...table.entries()]) table.delete(key);
        expect(table.stats).toMatchObject({ size: 0, usedBuckets: 0, memoryUsed: 0 });
        table.free(arena);
      }),
      { numRuns: 60 },
    );
  });

  it('grows far beyond one page a bucket, and gives all memory back', () => {
    const table = make(256, 2 ** 22);
    const n = 8000;
    for (const round of [1n, 2n]) {
      for (let i = 0; i < n; i++) table.set(keyOf(i, keyBytes, i % 2 === 0), BigInt(i) * round);
      expect(table.stats).toMatchObject({ size: n, usedBuckets: 256 });
      for (let i = 0; i < n; i++) expect(table.get(keyOf(i, keyBytes, i % 2 === 0))).toBe(BigInt(i) * round);
      for (let i = n; i < 2 * n; i++) expect(table.has(keyOf(i, keyBytes, i % 2 === 0))).toBe(false);
      for (let i = 0; i < n; i++) expect(table.delete(keyOf(i, keyBytes, i % 2 === 0))).toBe(true);
      expect(table.stats).toMatchObject({ size: 0, usedBuckets: 0, memoryUsed: 0 });
    }
  });

  it('refuses entries when its memory is full, changes nothing, and goes on when there is room', () => {
    const table = make(16, 4096);
    const kept: number[] = [];
    let refused = 0;
    for (let i = 0; i < 500; i++) {
      const before = { ...table.stats, entries: [...table.entries()] };
      try {
        table.set(keyOf(i, keyBytes), BigInt(i));
        kept.push(i);
      } catch (error) {
        expect(error).toMatchObject({ code: 'LBD_BIHASH_FULL' });
        expect({ ...table.stats, entries: [...table.entries()] }).toEqual(before);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
    expect(table.size).toBe(kept.length);
    for (const i of kept) expect(table.get(keyOf(i, keyBytes))).toBe(BigInt(i));
    for (const i of kept) expect(table.set(keyOf(i, keyBytes), 5n)).toBe(false);
    for (const i of kept) expect(table.delete(keyOf(i, keyBytes))).toBe(true);
    expect(table.stats.memoryUsed).toBe(0);
    expect(table.set(keyOf(1000, keyBytes), 1n)).toBe(true);
  });

  it('takes keys as bytes in memory order', () => {
    const table = make(16, 4096);
    const bytes = Uint8Array.from({ length: keyBytes }, (_, i) => i + 1);
    table.set(bytes, 42n);
    const [entry] = [...table.entries()];
    expect(entry!.key[0]).toBe(0x0807060504030201n);
    expect(table.get(entry!.key)).toBe(42n);
    expect(() => table.get(bytes.subarray(1))).toThrow(code('LBD_BIHASH_KEY'));
  });

  it('keeps what any u64 key and value is, but the value that marks free entries', () => {
    const table = make(16, 4096);
    const max = 2n ** 64n - 1n;
    const [zeros, ones] = [0n, max].map((word) => new Array<bigint>(keyBytes / 8).fill(word));
    expect(table.get(zeros!)).toBe(undefined);
    expect(table.get(ones!)).toBe(undefined);
    table.set(zeros!, max - 1n);
    table.set(ones!, 0n);
    expect([table.get(zeros!), table.get(ones!)]).toEqual([max - 1n, 0n]);
    for (const value of [max, -1n, 2n ** 64n]) expect(() => table.set(zeros!, value)).toThrow(code('LBD_BIHASH_VALUE'));
    expect(table.get(zeros!)).toBe(max - 1n);
  });
});

describe('bihash', () => {
  it('holds a million entries', { timeout: 60_000 }, () => {
    const table = Bihash.create(Arena.create(2 ** 28), { keyBytes: 16, buckets: 2 ** 19, memoryBytes: 2 ** 27 });
    const n = 1_000_000;
    for (let i = 0; i < n; i++) table.set([BigInt(i), 1n], BigInt(i));
    let wrong = 0;
    for (let i = 0; i < n; i++) if (table.get([BigInt(i), 1n]) !== BigInt(i)) wrong++;
    expect({ wrong, size: table.size }).toEqual({ wrong: 0, size: n });
    // A good hash leaves few buckets (2 entries each on average) that do not spread over pages.
    expect(table.stats.linearBuckets).toBeLessThan(2 ** 19 / 1000);
  });

  it('finds keys of a bucket that does not spread: one bucket, thousands of entries', () => {
    const table = Bihash.create(Arena.create(2 ** 22), { keyBytes: 8, buckets: 1, memoryBytes: 2 ** 20 });
    for (let i = 0; i < 3000; i++) table.set(BigInt(i), BigInt(i));
    expect(table.stats).toMatchObject({ usedBuckets: 1, linearBuckets: 1 });
    for (let i = 0; i < 3000; i++) expect(table.get(BigInt(i))).toBe(BigInt(i));
    for (let i = 0; i < 3000; i += 2) table.delete(BigInt(i));
    for (let i = 0; i < 3000; i++) expect(table.get(BigInt(i))).toBe(i % 2 ? BigInt(i) : undefined);
  });

  it('writes nothing outside its allocation', () => {
    const arena = Arena.create(2 ** 20);
    const before = arena.allocate('before', 256, 256);
    const table = Bihash.create(arena, { keyBytes: 24, buckets: 8, memoryBytes: 1024 });
    const after = arena.allocate('after', 256);
    arena.memory.u8.fill(0xa5, before, before + 256).fill(0xa5, after, after + 256);
    for (let i = 0; i < 100; i++) {
      try {
        table.set([BigInt(i), 0n, 0n], 1n);
      } catch {}
    }
    for (const at of [before, after])
      expect(arena.memory.u8.subarray(at, at + 256).every((byte) => byte === 0xa5)).toBe(true);
  });

  it('may lie anywhere in a memory of 4 GiB', () => {
    const arena = Arena.create(3 * 2 ** 30);
    arena.allocate('address space', 2.5 * 2 ** 30);
    const { address } = Bihash.create(arena, { keyBytes: 8, buckets: 16, memoryBytes: 2 ** 16 });
    expect(address).toBeGreaterThan(2 ** 31);
    const table = Bihash.attach(arena.memory, address);
    for (let key = 0n; key < 100n; key++) table.set(key, key * 3n);
    expect([...table.entries()].length).toBe(100);
    expect(table.get(77n)).toBe(231n);
    expect(table.size).toBe(100);
  });

  it('can be attached to, and not where there is none', () => {
    const arena = Arena.create(2 ** 20);
    const table = Bihash.create(arena, { keyBytes: 8, buckets: 8, memoryBytes: 1024 });
    table.set(1n, 2n);
    expect(Bihash.attach(arena.memory, table.address).get(1n)).toBe(2n);
    expect(() => Bihash.attach(arena.memory, 2 ** 19)).toThrow(code('LBD_BIHASH_ADDRESS'));
    table.free(arena);
    expect(() => Bihash.attach(arena.memory, table.address)).toThrow(code('LBD_BIHASH_ADDRESS'));
  });

  it.each([
    { keyBytes: 12, buckets: 8, memoryBytes: 1024 },
    { keyBytes: 8, buckets: 12, memoryBytes: 1024 },
    { keyBytes: 8, buckets: 0, memoryBytes: 1024 },
    { keyBytes: 8, buckets: 2 ** 27, memoryBytes: 1024 },
    { keyBytes: 8, buckets: 8, memoryBytes: 0 },
    { keyBytes: 8, buckets: 8, memoryBytes: 1000 },
  ])('refuses %o', (options) => {
    const arena = Arena.create(2 ** 20);
    expect(() => Bihash.create(arena, options as Parameters<typeof Bihash.create>[1])).toThrow(
      code('LBD_BIHASH_OPTIONS'),
    );
    expect(arena.allocations()).toEqual([]);
  });
});
