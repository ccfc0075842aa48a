import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scapy } from '../test/scapy.ts';
import * as A from './address.ts';

describe('addresses', () => {
  it.each([
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    '',
    '::g',
    'fe80::1%eth0',
    '1::2::3',
    '0x1.2.3.4',
    '16909060',
  ])('refuses %s', (text) => expect(() => A.addressBytes(text)).toThrow('is not an IPv4 or IPv6 address'));

  it('agrees with python on text and bytes', () => {
    const addresses = [
      ...fc.sample(fc.uint8Array({ minLength: 4, maxLength: 4 }), 100),
      ...fc.sample(fc.array(fc.constantFrom(0, 0, 0, 1, 0xab, 0xff), { minLength: 16, maxLength: 16 }), 200),
    ].map((bytes) => [...bytes]);
    const texts = scapy<string[]>(
      'import ipaddress\nout = [str(ipaddress.ip_address(bytes(a))) for a in input]',
      addresses,
    );
    for (const [i, address] of addresses.entries()) {
      expect([...A.addressBytes(texts[i]!)]).toEqual(address);
      // python writes IPv4-mapped addresses in hexadecimal or dotted, depending on its version
      if (!texts[i]!.includes('::ffff')) expect(A.addressText(Uint8Array.from(address))).toBe(texts[i]);
    }
  });

  it('reads and writes MAC addresses', () => {
    expect(A.macText(A.macBytes('02-0A-b:0:00:ff'.replace('b:0', 'b-0').replace(':00:', '-00-')))).toBe(
      '02:0a:0b:00:00:ff',
    );
    expect(() => A.macBytes('02:00:00:00:00')).toThrow('is not a MAC address');
  });
});

describe('prefixes', () => {
  it('are normalised to their length', () => {
    expect(A.prefixText(A.parsePrefix('90.1.2.3/8'))).toBe('90.0.0.0/8');
    expect(A.prefixText(A.parsePrefix('10.0.0.127/25'))).toBe('10.0.0.0/25');
    expect(A.prefixText(A.parsePrefix('2001:db8:ffff::1/33'))).toBe('2001:db8:8000::/33');
    expect(A.prefixText(A.parsePrefix('1.2.3.4'))).toBe('1.2.3.4/32');
    expect(A.prefixText(A.parsePrefix('::/0'))).toBe('::/0');
  });

  it.each(['1.2.3.4/33', '1.2.3.4/', '1.2.3.4/-1', '1.2.3.4/08', '::/129', '1.2.3.4/8/8'])('refuses %s', (text) => {
    expect(() => A.parsePrefix(text)).toThrow(/a prefix: its length must be from 0 to (32|128)/);
  });

  it('contain what agrees with them on their bits', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.nat(32),
        (a, b, length) => {
          const bits = (bytes: Uint8Array) =>
            [...bytes]
              .map((byte) => byte.toString(2).padStart(8, '0'))
              .join('')
              .slice(0, length);
          expect(A.contains(A.prefixOf(a, length), b)).toBe(bits(a) === bits(b));
          expect(A.contains(A.prefixOf(a, length), a)).toBe(true);
        },
      ),
    );
  });
});
