import { readFileSync } from 'node:fs';
import { Memory } from '@lbd/memory';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksum, fold, patch, sum, verifies } from './checksum.ts';

const kernels = new Memory(new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true }));
const wasm = kernels.instantiate(
  new WebAssembly.Module(readFileSync(new URL('../dist/kernels.wasm', import.meta.url))),
) as unknown as {
  checksum(at: number, bytes: number, start: number): number;
  sum20(at: number): number;
  isRight(at: number): number;
  patch(checksum: number, gone: number, come: number): number;
};
const swap = (word: number) => ((word & 0xff) << 8) | (word >> 8);

/** Word by word with the carry put back at once: as one would by hand. */
function naive(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    total += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
    if (total > 0xffff) total -= 0xffff;
  }
  return total;
}

describe('the Internet checksum', () => {
  it('sums the example of RFC 1071, section 3', () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(sum(bytes)).toBe(0x2ddf0);
    expect(fold(sum(bytes))).toBe(0xddf2);
    expect(checksum(bytes)).toBe(0x220d);
  });

  it('updates the example of RFC 1624, section 4, without making 0xffff of 0', () => {
    expect(patch(0xdd2f, [0x5555], [0x3285])).toBe(0x0000);
  });

  it('verifies what it computed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 200 }), (bytes) => {
        bytes.fill(0, 0, 2);
        const value = checksum(bytes);
        bytes.set([value >> 8, value & 0xff]);
        expect(verifies(bytes)).toBe(true);
      }),
    );
  });

  it('incremental is the same as computed anew', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 12, maxLength: 12 }), fc.nat(0xffff), fc.nat(4), (bytes, word, at) => {
        bytes[11] = 1; // all zeros is the one case where the two differ in sign of zero
        const before = checksum(bytes);
        const gone = (bytes[at * 2]! << 8) | bytes[at * 2 + 1]!;
        bytes.set([word >> 8, word & 0xff], at * 2);
        expect(patch(before, [gone], [word])).toBe(checksum(bytes));
      }),
    );
  });
});

describe('the kernels', () => {
  it('sum any length at any alignment, and read nothing behind it', () => {
    const lengths = fc.oneof(fc.nat(100), fc.nat(1600), fc.constantFrom(65535, 131072));
    fc.assert(
      fc.property(lengths, fc.nat(63), fc.nat(0xffffff), fc.boolean(), (length, offset, seed, ones) => {
        const at = 65536 + offset;
        kernels.u8.fill(0xa5);
        const bytes = kernels.u8.subarray(at, at + length);
        for (let i = 0; i < length; i++) bytes[i] = ones ? 0xff : Math.imul(i + seed, 2654435761) >>> 24;
        expect(swap(wasm.checksum(at, length, 0))).toBe(~naive(bytes) & 0xffff);
      }),
      { numRuns: 200 },
    );
  });

  it('sum a header of 20 bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (bytes) => {
        kernels.u8.set(bytes, 1003);
        expect(swap(wasm.sum20(1003))).toBe(naive(bytes));
        expect(wasm.isRight(1003)).toBe(Number(naive(bytes) === 0xffff));
      }),
    );
  });

  it('tell right headers from wrong ones', () => {
    const ones = fc.constantFrom(0x00, 0x01, 0xfe, 0xff);
    fc.assert(
      fc.property(fc.array(ones, { minLength: 20, maxLength: 20 }), fc.boolean(), (words, fix) => {
        const bytes = Uint8Array.from(words);
        if (fix) {
          bytes.fill(0, 10, 12);
          const value = checksum(bytes);
          bytes.set([value >> 8, value & 0xff], 10);
        }
        kernels.u8.set(bytes, 1003);
        expect(wasm.isRight(1003)).toBe(Number(naive(bytes) === 0xffff));
        if (fix) expect(wasm.isRight(1003)).toBe(1);
      }),
      { numRuns: 1000 },
    );
  });

  it('patch as RFC 1624 does', () => {
    const word = fc.nat(0xffffffff);
    fc.assert(
      fc.property(fc.nat(0xffff), word, word, (before, gone, come) => {
        const halves = (value: number) => [value & 0xffff, value >>> 16];
        expect(wasm.patch(before, gone, come)).toBe(patch(before, halves(gone), halves(come)));
      }),
    );
    expect(swap(wasm.patch(swap(0xdd2f), 0x5555, swap(0x3285)))).toBe(0);
  });
});
