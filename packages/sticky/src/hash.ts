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

const MASK = 0xffffffffffffffffn;
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
  const seed = folded(
    words(destination).map((word, i) => word ^ key[i]!),
    WIDE,
  );
  const multipliers = WIDE.map((wide, i) => (wide ^ (key[i]! >> 32n) ^ ((key[i]! & HALF) << 32n)) | 1n);
  const from = source.length === 4 ? words(source)[0]! : BigInt(folded(words(source), multipliers));
  const forPorts = (key[1]! >> 32n) ^ 0x9e3779b1n;
  return mixed(((from + BigInt(seed)) & HALF) * ((BigInt(ports) + (forPorts | 1n)) & HALF));
}

/** Little-endian words of eight bytes; the last of four, if there are no more. */
function words(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 4) return [BigInt(view.getUint32(0, true))];
  return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
}

/** Words multiplied by an odd one each, added, and the halves of the sum folded into one. */
function folded(list: readonly bigint[], by: readonly bigint[]): number {
  const sum = list.reduce((total, word, i) => total + word * by[i]!, 0n) & MASK;
  return Number((sum ^ (sum >> 32n)) & HALF);
}

/** The halves of a product folded into one; the constant is of Chris Wellons' lowbias32. */
function mixed(product: bigint): number {
  let hash = Number((product ^ (product >> 32n)) & HALF);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return (hash ^ (hash >>> 15)) >>> 0;
}
