import { readFileSync } from 'node:fs';
import { Arena } from '@lbd/memory';
import { addressBytes, prefixOf } from '@lbd/packet';
import { describe, expect, it } from 'vitest';
import { random } from '../test/random.ts';
import { NO_ROUTE } from './dpo.ts';
import { Fib6 } from './fib6.ts';
import { kernels } from './kernels.ts';
import { FIB6_LAST_AT, FIB6_LAST_BYTES } from './layout.ts';

const module = new WebAssembly.Module(readFileSync(kernels));

function makeFib() {
  const arena = Arena.create(128 * 1024 * 1024);
  const fib = new Fib6(arena);
  const { fib6Lookup, fib6LookupNext } = arena.memory.instantiate(module) as {
    fib6Lookup(fib: number, address: number): number;
    fib6LookupNext(fib: number, address: number, last: number): number;
  };
  const at = arena.allocate('address', 16);
  const last = arena.allocate('last', FIB6_LAST_BYTES);
  const kernelLookup = (address: Uint8Array) => {
    arena.memory.u8.set(address, at);
    return fib6Lookup(fib.address, at) >>> 0;
  };
  /** The same, for one address after the other; `first`: a vector begins. */
  const kernelLookupNext = (address: Uint8Array, first: boolean) => {
    if (first) arena.memory.u32[(last + FIB6_LAST_AT) >>> 2] = 0;
    arena.memory.u8.set(address, at);
    return fib6LookupNext(fib.address, at, last) >>> 0;
  };
  return { fib, kernelLookup, kernelLookupNext };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bits = (bytes: Uint8Array) => BigInt(`0x${hex(bytes)}`);

describe('Fib6', () => {
  it('finds the longest prefix in a table of 100,000 random prefixes, with adds, changes and deletes', () => {
    const { fib, kernelLookup, kernelLookupNext } = makeFib();
    const next = random(6);
    const lengths = [0, 16, 20, 29, 32, 32, 36, 40, 44, 48, 48, 48, 48, 48, 56, 64, 64, 64, 96, 127, 128, 128];
    const naive = new Map<string, number>();
    const live: { bytes: Uint8Array; length: number }[] = [];
    const address = () => {
      const bytes = new Uint8Array(16);
      new DataView(bytes.buffer).setUint32(0, 0x20010000 | (next() & 0xff0f));
      for (let i = 4; i < 16; i++) bytes[i] = i < 8 ? next() & 3 : next() & 1;
      return bytes;
    };
    const lookup = (at: Uint8Array) => {
      const number = bits(at);
      for (const length of [...new Set(lengths)].reverse()) {
        const shift = BigInt(128 - length);
        const found = naive.get(`${(number >> shift) << shift}/${length}`);
        if (found !== undefined) return found;
      }
      return NO_ROUTE;
    };
    const compare = () => {
      for (let i = 0; i < 2000; i++) {
        const probe = address();
        const near = live[next() % live.length];
        if (near && i % 2) probe.set(near.bytes.subarray(0, near.length >> 3));
        const expected = lookup(probe);
        const found = [fib.lookup(probe), kernelLookup(probe), kernelLookupNext(probe, i === 0)];
        if (found.some((dpo) => dpo !== expected))
          expect([hex(probe), ...found]).toEqual([hex(probe), expected, expected, expected]);
        // what is near: mostly, but not always, of the same prefix
        probe[15]! ^= i & 1;
        probe[6]! ^= (i >> 1) & 1;
        expect(kernelLookupNext(probe, false)).toBe(lookup(probe));
      }
    };
    for (let i = 0; naive.size < 100_000; i++) {
      const prefix = prefixOf(address(), lengths[next() % lengths.length]!);
      const dpo = next() & 0x7fffffff;
      const key = `${bits(prefix.bytes)}/${prefix.length}`;
      if (!naive.has(key)) live.push(prefix);
      naive.set(key, dpo);
      fib.add(prefix.bytes, prefix.length, dpo);
      if (i % 4 === 3) {
        const at = next() % live.length;
        const gone = live[at];
        live[at] = live.at(-1)!;
        live.pop();
        naive.delete(`${bits(gone!.bytes)}/${gone!.length}`);
        if (!fib.remove(gone!.bytes, gone!.length)) expect.fail(hex(gone!.bytes));
      }
    }
    compare();
    expect(fib.size).toBe(naive.size);
    let seen = 0;
    for (const entry of fib.entries()) {
      if (naive.get(`${bits(entry.address)}/${entry.length}`) !== entry.dpo) expect.fail(hex(entry.address));
      seen++;
    }
    expect(seen).toBe(naive.size);
    // whole lengths go away
    for (const gone of live.filter(({ length }) => length % 3 !== 0)) {
      fib.remove(gone.bytes, gone.length);
      naive.delete(`${bits(gone.bytes)}/${gone.length}`);
    }
    expect(fib.lengths).toEqual([96, 48, 36, 0]);
    compare();
  }, 60_000);

  it('finds nothing in an empty table', () => {
    const { fib, kernelLookup } = makeFib();
    expect([fib.lookup(new Uint8Array(16)), kernelLookup(new Uint8Array(16))]).toEqual([NO_ROUTE, NO_ROUTE]);
    expect(fib.lengths).toEqual([]);
  });

  it('refuses what is no prefix', () => {
    const { fib } = makeFib();
    expect(() => fib.add(addressBytes('2001:db8::1'), 64, 1)).toThrow('all bits behind the first 64 must be zero');
    expect(() => fib.add(addressBytes('1.2.3.4'), 32, 1)).toThrow('16 bytes');
    expect(() => fib.add(new Uint8Array(16), 129, 1)).toThrow('from 0 to 128');
    expect(fib.size).toBe(0);
  });
});
