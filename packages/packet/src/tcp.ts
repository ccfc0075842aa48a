import { get16, get32, set16, set32 } from './bytes.ts';
import { fits, malformed, need, PacketError } from './errors.ts';
import * as L from './layout.ts';
import { defineProtocol } from './protocol.ts';
import { segmentChecksum, segmentVerifies } from './segment.ts';

export interface Tcp {
  sport: number;
  dport: number;
  seq: number;
  ack: number;
  /** Letters of FSRPAUEC, e.g. `SA`; `S` unless told. */
  flags: string;
  /** 65535 unless told. */
  window: number;
  urgent: number;
  /** As on the wire, without the padding that emit adds to a multiple of 4 bytes; parse leaves it in. */
  options: Uint8Array;
  /** Computed unless told. */
  checksum: number;
}

const LETTERS = 'FSRPAUEC';
const NO_OPTIONS = new Uint8Array();

/** TCP. */
export const tcp = defineProtocol<Tcp>({
  protocol: 'tcp',

  parse(bytes) {
    need('tcp', bytes, L.TCP_BYTES);
    const headerBytes = (bytes[L.TCP_DATA_OFFSET]! >> 4) * 4;
    if (headerBytes < L.TCP_BYTES) throw malformed('tcp', `header of ${headerBytes} bytes, must be 20 to 60`);
    need('tcp', bytes, headerBytes);
    return {
      fields: {
        sport: get16(bytes, L.TCP_SOURCE_PORT),
        dport: get16(bytes, L.TCP_DESTINATION_PORT),
        seq: get32(bytes, L.TCP_SEQUENCE),
        ack: get32(bytes, L.TCP_ACKNOWLEDGEMENT),
        flags: flagsText(bytes[L.TCP_FLAGS]!),
        window: get16(bytes, L.TCP_WINDOW),
        urgent: get16(bytes, L.TCP_URGENT),
        options: bytes.subarray(L.TCP_BYTES, headerBytes),
        checksum: get16(bytes, L.TCP_CHECKSUM),
      },
      headerBytes,
      payload: bytes.subarray(headerBytes),
      next: undefined,
    };
  },

  size(fields) {
    const bytes = L.TCP_BYTES + Math.ceil((fields.options ?? NO_OPTIONS).length / 4) * 4;
    if (bytes <= 60) return bytes;
    throw new PacketError('LBD_PACKET_FIELD', 'tcp', `options of ${fields.options!.length} bytes, at most 40 fit`);
  },

  emit(out, fields, around) {
    const headerBytes = this.size(fields);
    const fit = (field: string, value: number, bits: number) => fits('tcp', field, value, bits);
    out.fill(0, 0, headerBytes);
    set16(out, L.TCP_SOURCE_PORT, fit('sport', fields.sport ?? 0, 16));
    set16(out, L.TCP_DESTINATION_PORT, fit('dport', fields.dport ?? 0, 16));
    set32(out, L.TCP_SEQUENCE, fit('seq', fields.seq ?? 0, 32));
    set32(out, L.TCP_ACKNOWLEDGEMENT, fit('ack', fields.ack ?? 0, 32));
    out[L.TCP_DATA_OFFSET] = (headerBytes / 4) << 4;
    out[L.TCP_FLAGS] = flagsByte(fields.flags ?? 'S');
    set16(out, L.TCP_WINDOW, fit('window', fields.window ?? 65535, 16));
    set16(out, L.TCP_URGENT, fit('urgent', fields.urgent ?? 0, 16));
    out.set(fields.options ?? NO_OPTIONS, L.TCP_BYTES);
    const sum = fields.checksum ?? segmentChecksum(out, L.PROTOCOL_TCP, around.pseudo);
    set16(out, L.TCP_CHECKSUM, fit('checksum', sum, 16));
  },

  display: ({ sport, dport, flags, seq, ack }) => `tcp ${sport} > ${dport} ${flags} seq ${seq} ack ${ack}`,

  verify: (bytes, _fields, pseudo) => segmentVerifies(bytes, L.PROTOCOL_TCP, pseudo),
});

function flagsText(byte: number): string {
  return [...LETTERS].filter((_, bit) => byte & (1 << bit)).join('');
}

function flagsByte(text: string): number {
  let byte = 0;
  for (const letter of text) {
    const bit = LETTERS.indexOf(letter);
    if (bit < 0) throw new PacketError('LBD_PACKET_FIELD', 'tcp', `flags '${text}' must be letters of ${LETTERS}`);
    byte |= 1 << bit;
  }
  return byte;
}
