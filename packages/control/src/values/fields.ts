/**
 * What a single value may be: the one place for ranges and forms, used by the configuration, the command line and the
 * API. Each message says what was given and what is allowed; whoever reports it puts the field's name in front.
 */
import { z } from 'zod';
import { canonicalAddress, canonicalPrefix, isUnicast } from './address.ts';

type Raw = { readonly input?: unknown };

/** Words an error: what was given, and what is allowed. */
function refusal(allowed: string): (issue: Raw) => string {
  return ({ input }) =>
    input === undefined ? `is missing: must be ${allowed}` : `${show(input)} is not allowed: must be ${allowed}`;
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? `"${value}"` : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** A whole number in a range. */
export function integer(min: number, max: number, what = '') {
  const error = refusal(`a whole number from ${min} to ${max}${what}`);
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

export function powerOfTwo(min: number, max: number) {
  const error = refusal(`a power of two from ${min} to ${max}`);
  return z
    .number({ error })
    .int({ error })
    .min(min, { error })
    .max(max, { error })
    .refine((n) => Number.isInteger(Math.log2(n)), { error });
}

/** One of some words. */
export function word<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.enum(words, { error: refusal(words.join(' or ')) });
}

export function flag() {
  return z.boolean({ error: refusal('true or false') });
}

/** A name without blanks, which are what separates words on the command line. */
export function name(what: string) {
  const error = refusal(`${what}, without blanks`);
  return z.string({ error }).regex(/^\S+$/, { error });
}

/** A line of text. */
export function line(what: string) {
  const error = refusal(`${what}, on one line`);
  return z.string({ error }).regex(/^[^\n]*$/, { error });
}

export function list<T extends z.ZodType>(item: T, what: string) {
  return z.array(item, { error: refusal(`a list of ${what}`) });
}

/** An object that refuses keys it does not know. */
export function record<T extends z.ZodRawShape>(shape: T) {
  const allowed = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown key ${issue.keys.map((key) => `"${key}"`).join(', ')}: allowed are ${allowed}`
        : issue.input === undefined
          ? `is missing: must be a mapping with ${allowed}`
          : `must be a mapping with ${allowed}`,
  });
}

function text(allowed: string, canonical: (text: string) => string | undefined) {
  const error = refusal(allowed);
  return z
    .string({ error })
    .refine((value) => canonical(value) !== undefined, { error })
    .overwrite((value) => canonical(value) ?? value);
}

const unicast = (family?: 4 | 6) => (value: string) => {
  const address = canonicalAddress(value);
  if (address === undefined || !isUnicast(address)) return undefined;
  return family === undefined || address.includes(':') === (family === 6) ? address : undefined;
};

export const port = () => integer(1, 65535);
export const protocol = () => word('tcp', 'udp');
export const serviceType = () => word('clusterip', 'nodeport');
export const flowHash = () => word('crc32c', 'keyed');
/** Of an AS, percent; 0 drains. */
export const weight = () => integer(0, 100);
export const dscp = () => integer(0, 63);
/** Slots of a new-flow table. */
export const newLen = () => powerOfTwo(1, 1 << 24);
/** Sticky buckets of a worker. */
export const buckets = () => powerOfTwo(1, 1 << 24);
/** Seconds, up to a year. */
export const timeout = () => integer(1, 31_536_000, ' (seconds)');
export const prefix = () => text('an IPv4 or IPv6 prefix, as in 10.0.0.0/8 or 2001:db8::1/128', canonicalPrefix);
export const serverAddress = () =>
  text('the IPv4 or IPv6 address of a host (no multicast, loopback or the like)', unicast());
export const ip4Address = () => text('the IPv4 address of a host', unicast(4));
export const ip6Address = () => text('the IPv6 address of a host', unicast(6));
/** An address with the length of its network, bits beyond the length kept: 10.0.0.1/24. */
export const interfaceAddress = () =>
  text('an address with a prefix length, as in 10.0.0.1/24', (value) => {
    const [address, length] = value.split('/');
    return canonicalPrefix(value) === undefined ? undefined : `${canonicalAddress(address!)}/${length}`;
  });
export const anyAddress = () => text('an IPv4 or IPv6 address', canonicalAddress);
export const mac = () => {
  const error = refusal('a MAC address, as in 02:00:00:00:00:01');
  return z
    .string({ error })
    .regex(/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/, { error })
    .toLowerCase();
};
/** The kernel's names of interfaces have at most 15 bytes. */
export const interfaceName = () => {
  const error = refusal('the name of an interface (up to 15 characters, no blank, no slash)');
  return z.string({ error }).regex(/^[^\s/]{1,15}$/, { error });
};
/** A size with a unit, as a number of bytes. */
export const size = (min: number, max: number) => {
  const error = refusal(`a size such as 256MiB or 1GiB, from ${min / 2 ** 20}MiB to ${max / 2 ** 20}MiB`);
  return z
    .string({ error })
    .regex(/^\d+(\.\d+)?(KiB|MiB|GiB)$/, { error })
    .transform((value) => {
      const unit = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[value.slice(-3) as 'KiB'];
      return Math.ceil((Number(value.slice(0, -3)) * unit) / 65536) * 65536;
    })
    .refine((bytes) => bytes >= min && bytes <= max, { error });
};
