import { MaglevError } from './errors.ts';

export interface MaglevServer {
  /** 4 bytes (IPv4) or 16 (IPv6), in wire order. Unique among the servers. */
  readonly address: Uint8Array;
  /** Share of the table relative to others, 0 to 100; 100 unless told. With 0 it gets no slot. */
  readonly weight?: number;
}

export interface PreparedServer {
  /** The address's two little-endian words, xored. */
  readonly word: bigint;
  readonly weight: number;
  readonly value: number;
}

/**
 * Checks servers and puts those of weight > 0 in the order of their turns. `value(server, place)` is what slots will hold.
 * @throws MaglevError
 */
export function prepare<S extends MaglevServer>(
  servers: readonly S[],
  value: (server: S, place: number) => number,
): PreparedServer[] {
  const rows = servers.map((server, place) => {
    const { weight = 100 } = server;
    if (!Number.isInteger(weight) || weight < 0 || weight > 100) {
      throw new MaglevError('LBD_MAGLEV_WEIGHT', `weight ${weight}: must be a whole number from 0 to 100`);
    }
    const bytes = sixteen(server.address);
    const key = Buffer.from(bytes).toString('hex');
    const view = new DataView(bytes.buffer);
    const word = view.getBigUint64(0, true) ^ view.getBigUint64(8, true);
    return { key, word, weight, value: value(server, place) };
  });
  rows.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  rows.forEach((row, i) => {
    if (i > 0 && rows[i - 1]!.key === row.key) {
      throw new MaglevError('LBD_MAGLEV_DUPLICATE', `two servers have the address ${row.key} (16 bytes, hexadecimal)`);
    }
  });
  return rows.filter((row) => row.weight > 0);
}

/** An address as 16 bytes: IPv4 behind twelve zero bytes. */
function sixteen(address: Uint8Array): Uint8Array {
  if (address.length !== 4 && address.length !== 16) {
    throw new MaglevError('LBD_MAGLEV_ADDRESS', `an address of ${address.length} bytes: must be 4 or 16`);
  }
  const bytes = new Uint8Array(16);
  bytes.set(address, 16 - address.length);
  return bytes;
}
