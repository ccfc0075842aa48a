/**
 * The choice of a server, written down as the papers have it and as slowly: bit by bit, with big integers, and with nothing
 * of lbd's own. Where a flow goes that nobody knows yet, tests ask here.
 */

const MASK = (1n << 64n) - 1n;
const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
];

const rotate = (x: bigint, n: bigint) => ((x << n) | (x >> (64n - n))) & MASK;
const times = (a: bigint, b: bigint) => (a * b) & MASK;

/** XXH64 of one 8-byte little-endian word (github.com/Cyan4973/xxHash, doc/xxhash_spec.md). */
function xxh64(word: bigint, seed: bigint): bigint {
  let h = (seed + P5 + 8n) & MASK;
  h ^= times(rotate(times(word, P2), 31n), P1);
  h = (times(rotate(h, 27n), P1) + P4) & MASK;
  h = times(h ^ (h >> 33n), P2);
  h = times(h ^ (h >> 29n), P3);
  return h ^ (h >> 32n);
}

/** CRC-32C (RFC 3720, appendix B.4), reflected, without inversion before and after. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return crc >>> 0;
}

/** The four bytes of an IPv4 address. */
function bytes4(address: string): number[] {
  return address.split('.').map(Number);
}

function littleEndian(bytes: readonly number[]): bigint {
  return bytes.reduceRight((word, byte) => (word << 8n) | BigInt(byte), 0n);
}

export interface ModelServer {
  /** IPv4. */
  readonly address: string;
  /** 0 to 100. */
  readonly weight: number;
}

/** The new-flow table: Maglev's permutation fill over a power of two, a server taking part once for each unit of weight. */
export function newFlowTable(servers: readonly ModelServer[], length: number): (string | undefined)[] {
  const replicas = servers.flatMap(({ address, weight }) =>
    Array.from({ length: weight }, (_, replica) => {
      const bytes = [...new Array(12).fill(0), ...bytes4(address)];
      const word = littleEndian(bytes.slice(0, 8)) ^ littleEndian(bytes.slice(8)) ^ BigInt(replica);
      const hash = xxh64(word, 0x9e3779b97f4a7c13n);
      const skip = (Number(hash & 0xffffffffn) | 1) & (length - 1);
      return { address, replica, bytes, skip, next: Number(hash >> 32n) & (length - 1) };
    }),
  );
  replicas.sort((a, b) => a.replica - b.replica || Buffer.compare(Buffer.from(a.bytes), Buffer.from(b.bytes)));
  const table: (string | undefined)[] = new Array(length).fill(undefined);
  for (let filled = 0; filled < length && replicas.length > 0; ) {
    for (const replica of replicas) {
      while (table[replica.next] !== undefined) replica.next = (replica.next + replica.skip) & (length - 1);
      table[replica.next] = replica.address;
      if (++filled === length) break;
    }
  }
  return table;
}

/** The flow hash of an IPv4 packet with ports. */
export function flowHash(source: string, destination: string, sourcePort: number, destinationPort: number): number {
  // A port is what its two bytes make when they are loaded little-endian.
  const swapped = (port: number) => ((port & 255) << 8) | (port >> 8);
  const ports = (BigInt(swapped(sourcePort)) << 16n) | BigInt(swapped(destinationPort));
  const words = Buffer.alloc(40);
  words.set([...bytes4(source), ...bytes4(destination)], 0);
  words.writeBigUInt64LE(ports, 8);
  return crc32c(words);
}
