import { readFileSync } from 'node:fs';
import { Arena } from '@lbd/memory';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { random } from '../test/random.ts';
import { NO_ROUTE } from './dpo.ts';
import { Fib4 } from './fib4.ts';
import { kernels } from './kernels.ts';
import { Reclaimer } from './reclaimer.ts';

const module = new WebAssembly.Module(readFileSync(kernels));

/** The table as one would write it down: all prefixes, and a search from the longest length. */
class Naive {
  readonly prefixes = new Map<number, number>();
  key = (address: number, length: number) => mask(address, length) * 64 + length;
  lookup(address: number): number {
    for (let length = 32; length >= 0; length--) {
      const found = this.prefixes.get(this.key(address, length));
      if (found !== undefined) return found;
    }
    return NO_ROUTE;
  }
}

/** Takes an element out, in no time. */
function pick<T>(list: T[], at: number): T {
  const taken = list[at % list.length]!;
  const last = list.pop()!;
  if (last !== taken) list[at % (list.length + 1)] = last;
  return taken;
}

function mask(address: number, length: number): number {
  const size = 2 ** (32 - length);
  return Math.floor(address / size) * size;
}

function makeFib(reclaimer?: Reclaimer) {
  const arena = Arena.create(512 * 1024 * 1024);
  const fib = new Fib4(arena, reclaimer);
  const { fib4Lookup } = arena.memory.instantiate(module) as { fib4Lookup(fib: number, address: number): number };
  const at = arena.allocate('address', 4);
  const kernelLookup = (address: number) => {
    arena.memory.view.setUint32(at, address);
    return fib4Lookup(fib.address, at) >>> 0;
  };
  return { fib, kernelLookup };
}

describe('Fib4', () => {
  it('finds the longest prefix in tables of 100,000 random prefixes, with adds, changes and deletes', () => {
    const { fib, kernelLookup } = makeFib();
    const naive = new Naive();
    const next = random(1);
    // lengths as on the Internet: most /24, some of all; a tenth of the space, so that prefixes nest
    const short = [0, 1, 7, 8, 9, 12];
    const lengths = [15, 16, 16, 17, 18, 20, 22, 23, 24, 24, 24, 24, 24, 25, 27, 30, 31, 32, 32];
    const live: [number, number][] = [];
    for (let i = 0; naive.prefixes.size < 100_000; i++) {
      const length = i < 2000 && i % 100 === 0 ? short[next() % short.length]! : lengths[next() % lengths.length]!;
      const address = mask((next() & 0x1fffffff) >>> 0, length);
      const dpo = next() & 0x7fffffff;
      if (!naive.prefixes.has(naive.key(address, length))) live.push([address, length]);
      fib.add(address, length, dpo);
      naive.prefixes.set(naive.key(address, length), dpo);
      if (i % 4 === 3) {
        const [gone, goneLength] = pick(live, next());
        if (!fib.remove(gone, goneLength)) expect.fail(`${gone}/${goneLength}`);
        naive.prefixes.delete(naive.key(gone, goneLength));
      }
    }
    const compare = () => {
      for (let i = 0; i < 30_000; i++) {
        const [near] = live[next() % live.length] ?? [0];
        // at random, and around the borders of prefixes
        const address = i % 2 ? (next() & 0x1fffffff) >>> 0 : (near + (next() % 513) - 256 + 2 ** 32) % 2 ** 32;
        const expected = naive.lookup(address);
        if (fib.lookup(address) !== expected || kernelLookup(address) !== expected) {
          expect([address, fib.lookup(address), kernelLookup(address)]).toEqual([address, expected, expected]);
        }
      }
    };
    compare();
    expect(fib.size).toBe(naive.prefixes.size);
    for (const { address, length, dpo } of fib.entries()) {
      if (naive.prefixes.get(naive.key(address, length)) !== dpo) expect.fail(`${address}/${length}`);
    }
    for (const [address, length] of live.splice(0, 60_000)) {
      fib.remove(address, length);
      naive.prefixes.delete(naive.key(address, length));
    }
    compare();
    for (const [address, length] of live.splice(0)) fib.remove(address, length);
    expect([fib.size, fib.plies]).toEqual([0, 0]);
    naive.prefixes.clear();
    compare();
  }, 60_000);

  it('is the naive table after any sequence of changes in a crowded corner', () => {
    const prefix = fc.record({
      address: fc.nat(0x3ff).map((n) => 0x0a000000 + n * 0x40),
      length: fc.constantFrom(0, 8, 15, 16, 17, 23, 24, 25, 26),
    });
    const change = fc.record({ add: fc.boolean(), prefix, dpo: fc.nat(1000) });
    const { fib, kernelLookup } = makeFib();
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const naive = new Naive();
        for (const { add, prefix, dpo } of changes) {
          const address = mask(prefix.address, prefix.length);
          if (add) {
            fib.add(address, prefix.length, dpo);
            naive.prefixes.set(naive.key(address, prefix.length), dpo);
          } else
            expect(fib.remove(address, prefix.length)).toBe(naive.prefixes.delete(naive.key(address, prefix.length)));
          for (const probe of [address, address + 64, 0x0a000000, 0x0a00ffff, 0x0a010000, 0]) {
            const expected = naive.lookup(probe);
            expect([fib.lookup(probe), kernelLookup(probe)]).toEqual([expected, expected]);
          }
        }
        for (const { address, length } of [...fib.entries()]) fib.remove(address, length);
        expect(fib.plies).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('uses a freed ply again only when every worker has passed a quiescent point', async () => {
    let pass = () => {};
    const quiescent = () =>
      new Promise<void>((resolve) => {
        pass = resolve;
      });
    const { fib } = makeFib(new Reclaimer({ quiescent }));
    fib.add(0x0a000100, 24, 7);
    expect(fib.plies).toBe(1);
    fib.remove(0x0a000100, 24);
    expect([fib.lookup(0x0a000100), fib.plies]).toEqual([NO_ROUTE, 1]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(fib.plies).toBe(1);
    pass();
    await new Promise((resolve) => setImmediate(resolve));
    expect(fib.plies).toBe(0);
  });

  it('refuses what is no prefix or no DPO, and changes nothing', () => {
    const { fib } = makeFib();
    expect(() => fib.add(0x0a000001, 24, 1)).toThrow('bits behind the first 24 zero');
    expect(() => fib.add(0, 33, 1)).toThrow('must be from 0 to 32');
    expect(() => fib.add(0, 8, -1)).toThrow('not a DPO word');
    expect(() => fib.add(0, 8, 0x80000000)).toThrow('not a DPO word');
    expect(fib.remove(0, 8)).toBe(false);
    expect(fib.size).toBe(0);
  });
});
