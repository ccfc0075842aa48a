import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Address family of an address or prefix in text form; undefined if it is neither. No zones, no shorthand IPv4. */
export function familyOf(text: string): 4 | 6 | undefined {
  const address = text.split('/', 1)[0]!;
  if (isIPv4(address)) return 4;
  if (isIPv6(address) && !address.includes('%')) return 6;
  return undefined;
}

/** The one way to write this address (RFC 5952 for IPv6), or undefined if it is none. */
export function canonicalAddress(text: string): string | undefined {
  const family = familyOf(text);
  if (family === undefined || text.includes('/')) return undefined;
  return family === 4 ? text : ipaddr.IPv6.parse(text).toRFC5952String();
}

/** The prefix with the bits beyond its length cleared: 90.1.2.3/8 is 90.0.0.0/8. Undefined if it is none. */
export function canonicalPrefix(text: string): string | undefined {
  const [address, length, more] = text.split('/');
  const family = familyOf(text);
  if (family === undefined || length === undefined || more !== undefined || !/^(0|[1-9]\d{0,2})$/.test(length)) {
    return undefined;
  }
  const bits = Number(length);
  if (bits > (family === 4 ? 32 : 128)) return undefined;
  const bytes = ipaddr.parse(address!).toByteArray();
  for (let i = 0; i < bytes.length; i++) {
    const kept = Math.min(8, Math.max(0, bits - i * 8));
    bytes[i]! &= 0xff00 >> kept;
  }
  const network = ipaddr.fromByteArray(bytes);
  return `${network instanceof ipaddr.IPv6 ? network.toRFC5952String() : network.toString()}/${bits}`;
}

/** Whether packets can be sent to or from this one address: not unspecified, loopback, multicast or broadcast. */
export function isUnicast(address: string): boolean {
  // Without a parse: there may be a million servers. 0.0.0.0/8 and 127.0.0.0/8 are in RFC 1122, 224.0.0.0/4 and above in
  // RFC 1112; other reserved ranges are in use.
  if (isIPv4(address)) {
    const first = Number(address.slice(0, address.indexOf('.')));
    return first > 0 && first < 224 && first !== 127;
  }
  return !['unspecified', 'multicast', 'loopback', 'ipv4Mapped'].includes(ipaddr.parse(address).range());
}
