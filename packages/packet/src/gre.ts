import { get16, get32, set16, set32 } from './bytes.ts';
import { checksum, verifies } from './checksum.ts';
import { fits, malformed, need } from './errors.ts';
import * as L from './layout.ts';
import { defineProtocol } from './protocol.ts';
import { ethertypeOf } from './registry.ts';

export interface Gre {
  /** EtherType of what is inside; that of the next layer unless told. */
  type: number;
  /** Undefined: the header has none. */
  key: number | undefined;
  sequence: number | undefined;
  /** True: the header has a checksum. */
  checksummed: boolean;
}

/** GRE version 0 (RFC 2784) with key and sequence number (RFC 2890). Routing (RFC 1701) and version 1 (PPTP) are refused. */
export const gre = defineProtocol<Gre>({
  protocol: 'gre',

  parse(bytes) {
    need('gre', bytes, L.GRE_BYTES);
    const flags = get16(bytes, L.GRE_FLAGS);
    if ((flags & 7) !== 0) throw malformed('gre', `version is ${flags & 7}, must be 0`);
    if ((flags & 0x4800) !== 0) throw malformed('gre', 'source routing is not supported');
    const checksummed = (flags & L.GRE_FLAG_CHECKSUM) !== 0;
    let at = L.GRE_BYTES;
    const word = (there: number) => {
      if (!there) return undefined;
      need('gre', bytes, at + 4);
      at += 4;
      return get32(bytes, at - 4);
    };
    word(flags & L.GRE_FLAG_CHECKSUM);
    const key = word(flags & L.GRE_FLAG_KEY);
    const sequence = word(flags & L.GRE_FLAG_SEQUENCE);
    const type = get16(bytes, L.GRE_PROTOCOL);
    return {
      fields: { type, key, sequence, checksummed },
      headerBytes: at,
      payload: bytes.subarray(at),
      next: { ethertype: type },
    };
  },

  size: ({ key, sequence, checksummed }) =>
    L.GRE_BYTES + (checksummed ? 4 : 0) + (key === undefined ? 0 : 4) + (sequence === undefined ? 0 : 4),

  emit(out, { type, key, sequence, checksummed }, around) {
    const flags =
      (checksummed ? L.GRE_FLAG_CHECKSUM : 0) |
      (key === undefined ? 0 : L.GRE_FLAG_KEY) |
      (sequence === undefined ? 0 : L.GRE_FLAG_SEQUENCE);
    set16(out, L.GRE_FLAGS, flags);
    set16(out, L.GRE_PROTOCOL, fits('gre', 'type', type ?? ethertypeOf(around.next) ?? 0, 16));
    let at = L.GRE_BYTES;
    const word = (field: string, value: number | undefined) => {
      if (value === undefined) return;
      set32(out, at, fits('gre', field, value, 32));
      at += 4;
    };
    word('checksum', checksummed ? 0 : undefined);
    word('key', key);
    word('sequence', sequence);
    if (checksummed) set16(out, L.GRE_BYTES, checksum(out));
  },

  display: ({ type, key }) => `gre 0x${type.toString(16).padStart(4, '0')}${key === undefined ? '' : ` key ${key}`}`,

  verify: (bytes, { checksummed }, pseudo) => (checksummed && !pseudo?.fragment ? verifies(bytes) : undefined),
});
