import ipaddr from 'ipaddr.js';
import { AddressError } from './errors.ts';

/** 4 for IPv4, 6 for IPv6. */
export type Family = 4 | 6;

/** A range of addresses. `bytes` has 4 or 16 bytes, network order; those behind `length` bits are zero. */
export interface Prefix {
  readonly family: Family;
  readonly bytes: Uint8Array;
  readonly length: number;
}

/**
 * The 4 or 16 bytes (network order) of an address in text: dotted decimal, or IPv6 (RFC 4291, section 2.2).
 * @throws AddressError
 */
export function addressBytes(text: string): Uint8Array<ArrayBuffer> {
  const ip4 = ip4Bytes(text);
  if (ip4) return ip4;
  // zone identifiers (fe80::1%eth0) name an interface of one host: they are no part of the address
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) {
    throw new AddressError(text, 'an IPv4 or IPv6 address');
  }
  return Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray());
}

/** The text of an address of 4 or 16 bytes; IPv6 in the form of RFC 5952. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  if (bytes.length !== 16) throw new AddressError(`${bytes.length} bytes`, 'an address of 4 or 16 bytes');
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** 4 or 6: the family of an address of 4 or 16 bytes. */
export function familyOf(bytes: Uint8Array): Family {
  return bytes.length === 4 ? 4 : 6;
}

/** An IPv4 address as a number, the first byte highest. */
export function ip4Number(bytes: Uint8Array): number {
  return ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0;
}

/** The bytes of an IPv4 address given as a number, the first byte highest. */
export function ip4FromNumber(address: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address);
}

/**
 * The 6 bytes of a MAC address in text, bytes in hexadecimal with colons or dashes between.
 * @throws AddressError
 */
export function macBytes(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[0-9a-f]{1,2}([:-][0-9a-f]{1,2}){5}$/i.test(text)) throw new AddressError(text, 'a MAC address');
  return Uint8Array.from(text.split(/[:-]/), (byte) => Number.parseInt(byte, 16));
}

export function macText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/**
 * A prefix in text, normalised to its length: `90.1.2.3/8` is 90.0.0.0/8. Without a length it is the address alone.
 * @throws AddressError
 */
export function parsePrefix(text: string): Prefix {
  const slash = text.indexOf('/');
  const bytes = addressBytes(slash < 0 ? text : text.slice(0, slash));
  const bits = bytes.length * 8;
  const digits = slash < 0 ? String(bits) : text.slice(slash + 1);
  const length = /^(0|[1-9][0-9]{0,2})$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(length <= bits)) throw new AddressError(text, `a prefix: its length must be from 0 to ${bits}`);
  return prefixOf(bytes, length);
}

/** The prefix of `length` bits that an address of 4 or 16 bytes lies in. */
export function prefixOf(address: Uint8Array, length: number): Prefix {
  const bits = address.length * 8;
  if (!Number.isInteger(length) || length < 0 || length > bits) {
    throw new AddressError(`${addressText(address)}/${length}`, `a prefix: its length must be from 0 to ${bits}`);
  }
  return { family: familyOf(address), bytes: mask(address, length), length };
}

export function prefixText(prefix: Prefix): string {
  return `${addressText(prefix.bytes)}/${prefix.length}`;
}

/** True if the address is of the prefix's family and lies in it. */
export function contains(prefix: Prefix, address: Uint8Array): boolean {
  if (address.length !== prefix.bytes.length) return false;
  const whole = prefix.length >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== prefix.bytes[i]) return false;
  const rest = prefix.length & 7;
  return rest === 0 || (address[whole]! & (0xff00 >> rest) & 0xff) === prefix.bytes[whole];
}

/** A copy of the address with all bits behind the first `length` cleared. */
function mask(address: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(address.length);
  const whole = length >> 3;
  bytes.set(address.subarray(0, whole));
  const rest = length & 7;
  if (rest !== 0) bytes[whole] = address[whole]! & (0xff00 >> rest);
  return bytes;
}

/** Four decimal bytes; no leading zeros, which some read as octal. Without texts in between: a million are read at the start. */
function ip4Bytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length > 15) return undefined;
  const bytes = new Uint8Array(4);
  let place = 0;
  let value = -1;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit >= 0 && digit <= 9) {
      if (value === 0) return undefined;
      value = value < 0 ? digit : value * 10 + digit;
      if (value > 255) return undefined;
    } else {
      if (text[i] !== '.' || value < 0 || place === 3) return undefined;
      bytes[place++] = value;
      value = -1;
    }
  }
  if (place !== 3 || value < 0) return undefined;
  bytes[3] = value;
  return bytes;
}
