import { addressBytes, parsePrefix, prefixOf, prefixText } from '@lbd/packet';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Follower, Followers } from './followers.ts';

/** Few different bits, so that addresses and prefixes meet. */
const byte = fc.constantFrom(0, 0, 0, 1, 127, 128, 255);
const address = (length: 4 | 16) =>
  fc.array(byte, { minLength: length, maxLength: length }).map((b) => Uint8Array.from(b));
const any = fc.oneof(address(4), address(16));

/** By the words of the definition: the first bits are the same. */
const naive = (all: readonly Follower[], prefix: { bytes: Uint8Array; length: number }) =>
  all.filter(({ bytes }) => {
    if (bytes.length !== prefix.bytes.length) return false;
    const bits = (b: Uint8Array) => [...b].map((x) => x.toString(2).padStart(8, '0')).join('');
    return bits(bytes).slice(0, prefix.length) === bits(prefix.bytes).slice(0, prefix.length);
  });

describe('Followers', () => {
  it('are found in a prefix of any length, and only those', () => {
    fc.assert(
      fc.property(fc.array(any, { maxLength: 60 }), any, fc.nat(), fc.nat(128), (addresses, other, pick, bits) => {
        // Of an address that is there, mostly: the edges are where one would be missed.
        const base = addresses[pick % (addresses.length + 5)] ?? other;
        const all = addresses.map((bytes) => ({ bytes }));
        const followers = new Followers<Follower>();
        for (const one of all) followers.add(one);
        const gone = all.filter((_, i) => i % 3 === 2);
        for (const one of gone) expect(followers.delete(one)).toBe(true);
        const left = all.filter((one) => !gone.includes(one));
        const prefix = prefixOf(base, bits % (base.length * 8 + 1));
        const found = followers.within(prefix);
        expect(new Set(found), prefixText(prefix)).toEqual(new Set(naive(left, prefix)));
        expect(found.length).toBe(new Set(found).size);
        expect(new Set(followers.all())).toEqual(new Set(left));
        expect(followers.size).toBe(left.length);
      }),
    );
  });

  it('may come while they are called', () => {
    const followers = new Followers<Follower>();
    followers.add({ bytes: addressBytes('10.0.0.1') });
    for (const { bytes } of followers.within(parsePrefix('10.0.0.0/24'))) followers.add({ bytes });
    expect(followers.size).toBe(2);
    expect(followers.delete({ bytes: addressBytes('10.0.0.1') })).toBe(false);
  });
});
