import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena, Epochs, OutOfMemoryError, WorkerEpoch } from './index.ts';

const MIB = 1024 * 1024;

describe('Arena', () => {
  it('hands out zeroed, aligned pieces that never overlap', () => {
    const request = fc.record({
      bytes: fc.integer({ min: 1, max: 9000 }),
      align: fc.constantFrom(1, 64, 4096),
      free: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 80 }), (requests) => {
        const arena = Arena.create(2 * MIB);
        const live = new Map<number, number>();
        for (const { bytes, align, free } of requests) {
          const address = arena.allocate('x', bytes, align);
          expect(address % align).toBe(0);
          expect(address).toBeGreaterThan(0);
          expect(arena.memory.u8.subarray(address, address + bytes).every((byte) => byte === 0)).toBe(true);
          for (const [other, size] of live) expect(address + bytes <= other || other + size <= address).toBe(true);
          arena.memory.u8.fill(0xa5, address, address + bytes);
          live.set(address, bytes);
          if (free) {
            const [first] = live.keys();
            arena.free(first!);
            live.delete(first!);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('hands out what was freed in other sizes, too: zeroed, apart, and whole again at the end', () => {
    const request = fc.record({
      bytes: fc.integer({ min: 1, max: 90_000 }),
      align: fc.constantFrom(1, 64, 4096),
      free: fc.nat({ max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(request, { minLength: 20, maxLength: 120 }), (requests) => {
        const arena = Arena.create(MIB / 2);
        const { remaining } = arena;
        const live = new Map<number, number>();
        const free = (n: number) => {
          const address = [...live.keys()][n];
          if (address === undefined) return;
          arena.free(address);
          live.delete(address);
        };
        for (const { bytes, align, free: n } of requests) {
          let address: number;
          try {
            address = arena.allocate('x', bytes, align);
          } catch (error) {
            expect(error).toBeInstanceOf(OutOfMemoryError);
            free(n % live.size);
            continue;
          }
          expect(address % align).toBe(0);
          expect(address + bytes).toBeLessThanOrEqual(arena.bytes);
          expect(arena.memory.u8.subarray(address, address + bytes).every((byte) => byte === 0)).toBe(true);
          for (const [other, size] of live) expect(address + bytes <= other || other + size <= address).toBe(true);
          arena.memory.u8.fill(0xa5, address, address + bytes);
          live.set(address, bytes);
          free(n);
        }
        while (live.size > 0) free(0);
        const all = arena.allocate('all', remaining);
        expect(arena.memory.u8.subarray(all, all + remaining).every((byte) => byte === 0)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses sizes and addresses that make no sense, and says when there is no room', () => {
    expect(() => Arena.create(1000)).toThrow('must be a multiple of 65536');
    const arena = Arena.create(MIB);
    expect(() => arena.allocate('x', 0)).toThrow('x: 0 is not a size in bytes');
    expect(() => arena.allocate('x', 8, 3)).toThrow('alignment 3 is not a power of two');
    expect(() => arena.free(4096)).toThrow('is not an allocation');
    const before = arena.remaining;
    expect(() => arena.allocate('too much', 2 * MIB)).toThrow(OutOfMemoryError);
    expect(arena.remaining).toBe(before);
    expect(arena.allocate('x', before)).toBeGreaterThan(0);
  });
});

describe('Epochs', () => {
  it('wait for workers that hold references, and for no others', async () => {
    const arena = Arena.create(MIB);
    const epochs = new Epochs(arena, 2);
    const [a, b] = [0, 1].map((i) => new WorkerEpoch(arena.memory, epochs.word(i)));
    await epochs.quiescent();
    a!.online();
    let done = false;
    const waiting = epochs.quiescent().then(() => {
      done = true;
    });
    b!.online(); // after the call: it can not have seen what was unpublished before
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(done).toBe(false);
    a!.tick();
    await waiting;
    const again = epochs.quiescent();
    a!.offline();
    b!.offline();
    await again;
  });

  it('keep a piece alive while a reader on another thread uses it', async () => {
    const arena = Arena.create(MIB);
    const epochs = new Epochs(arena, 1);
    const [pointer, stop, bad, rounds] = [0, 1, 2, 3].map(() => arena.allocate('word', 64));
    const { u32, i32 } = arena.memory;
    const make = () => {
      const piece = arena.allocate('piece', 64);
      u32[piece >>> 2] = 1; // 1 while it is published: a reader must never see another value
      return piece;
    };
    u32[pointer! >>> 2] = make();
    const worker = new Worker(
      `const { workerData: { memory, pointer, stop, bad, rounds, word, dist } } = require('node:worker_threads');
       import(dist).then(({ Memory, WorkerEpoch }) => {
         const { i32, u32 } = new Memory(memory);
         const epoch = new WorkerEpoch(new Memory(memory), word);
         epoch.online();
         while (Atomics.load(i32, stop >>> 2) === 0) {
           const piece = Atomics.load(u32, pointer >>> 2);
           for (let i = 0; i < 50; i++) if (Atomics.load(u32, piece >>> 2) !== 1) Atomics.add(i32, bad >>> 2, 1);
           Atomics.add(i32, rounds >>> 2, 1);
           epoch.tick();
         }
         epoch.offline();
       });`,
      {
        eval: true,
        workerData: {
          memory: arena.memory.wasm,
          ...{ pointer, stop, bad, rounds, word: epochs.word(0) },
          dist: new URL('../dist/index.js', import.meta.url).href,
        },
      },
    );
    while (Atomics.load(i32, rounds! >>> 2) === 0) await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 300; i++) {
      const old = u32[pointer! >>> 2]!;
      Atomics.store(u32, pointer! >>> 2, make());
      await epochs.quiescent();
      u32[old >>> 2] = 0xdead;
      arena.free(old);
    }
    Atomics.store(i32, stop! >>> 2, 1);
    await new Promise((resolve) => worker.once('exit', resolve));
    expect(Atomics.load(i32, bad! >>> 2)).toBe(0);
    expect(Atomics.load(i32, rounds! >>> 2)).toBeGreaterThan(300);
  });
});
