import { StickyError } from './errors.ts';

export interface StickyFlow {
  /** 4 or 16 bytes, as in the IP header. */
  readonly source: Uint8Array;
  /** As many. */
  readonly destination: Uint8Array;
  /** What `stickyPorts` makes of the ports; 0: without. */
  readonly ports: number;
}

/** The word of the ports: the first four bytes of a TCP or UDP header, as a little-endian u32. */
export function stickyPorts(source: number, destination: number): number {
  const swapped = (port: number) => ((port & 255) << 8) | (port >>> 8);
  return ((swapped(destination) << 16) | swapped(source)) >>> 0;
}

const HALF = 0xffffffffn;
/** 2^64 divided by the golden ratio, and another odd word. */
const WIDE = [0x9e3779b97f4a7c15n, 0xd6e8feb86659fd93n] as const;

/**
 * The hash (u32) by which kernels know a flow in a sticky table (`assembly/hash.ts`), in TypeScript: slow, for tests and
 * tools. `secret`: the 16 bytes that the kernels have.
 * @throws StickyError (LBD_STICKY_OPTIONS) unless the secret has 16 bytes, and both addresses 4 or both 16
 */
export function stickyHash(secret: Uint8Array, { source, destination, ports }: StickyFlow): number {
  if (secret.length !== 16) {
    throw new StickyError('LBD_STICKY_OPTIONS', `a secret of ${secret.length} bytes: must be 16`);
  }
  if (source.length !== destination.length || (source.length !== 4 && source.length !== 16)) {
    throw new StickyError(
      'LBD_STICKY_OPTIONS',
      `addresses of ${source.length} and ${destination.length} bytes: must be 4 or 16, both`,
    );
  }
  const key = words(secret);
  const wide = WIDE.flatMap((word) => [word & HALF, word >> 32n]);
  const from = words(source);
  const to = words(destination);
  const four = source.length === 4;
  const seed = four
    ? folded((to[0]! ^ key[0]! ^ (key[1]! << 32n)) * WIDE[0])
    : BigInt(mixed(wordOf(to, xor(key, wide))));
  const turned = [key[1]!, key[0]!, key[3]!, key[2]!];
  const base = (four ? from[0]! : wordOf(from, xor(turned, [...wide.slice(2), ...wide.slice(0, 2)]))) + seed;
  const forPorts = BigInt(ports) + ((key[3]! ^ 0x9e3779b1n) | 1n);
  return mixed((base & HALF) * (forPorts & HALF));
}

/** Little-endian words of four bytes. */
function words(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 4 }, (_, i) => BigInt(view.getUint32(i * 4, true)));
}
const xor = (a: readonly bigint[], b: readonly bigint[]) => a.map((word, i) => word ^ b[i]!);

/** Of four words one: each has one added, products of two are added up (NH of UMAC), and that is multiplied once more. */
function wordOf(four: readonly bigint[], added: readonly bigint[]): bigint {
  const [a, b, c, d] = four.map((word, i) => (word + added[i]!) & HALF) as [bigint, bigint, bigint, bigint];
  return (((a * b + c * d) * WIDE[0]) >> 32n) & HALF;
}

/** The halves of 64 bits folded into one. */
function folded(word: bigint): bigint {
  return (word ^ (word >> 32n)) & HALF;
}

/** The constant is of Chris Wellons' lowbias32. */
function mixed(product: bigint): number {
  let hash = Number(folded(product));
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return (hash ^ (hash >>> 15)) >>> 0;
}
