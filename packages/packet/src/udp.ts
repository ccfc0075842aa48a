import { get16, set16 } from './bytes.ts';
import { fits, malformed, need } from './errors.ts';
import * as L from './layout.ts';
import { defineProtocol } from './protocol.ts';
import { segmentChecksum, segmentVerifies } from './segment.ts';

export interface Udp {
  sport: number;
  dport: number;
  /** Bytes of header and payload; computed unless told. */
  length: number;
  /** Computed unless told; 0 is none. */
  checksum: number;
}

/** UDP. */
export const udp = defineProtocol<Udp>({
  protocol: 'udp',

  parse(bytes) {
    need('udp', bytes, L.UDP_BYTES);
    const length = get16(bytes, L.UDP_LENGTH);
    if (length < L.UDP_BYTES) throw malformed('udp', `length ${length}, must be at least 8`);
    return {
      fields: {
        sport: get16(bytes, L.UDP_SOURCE_PORT),
        dport: get16(bytes, L.UDP_DESTINATION_PORT),
        length,
        checksum: get16(bytes, L.UDP_CHECKSUM),
      },
      headerBytes: L.UDP_BYTES,
      // a first fragment has less than it says
      payload: bytes.subarray(L.UDP_BYTES, Math.min(length, bytes.length)),
      next: undefined,
    };
  },

  size: () => L.UDP_BYTES,

  emit(out, fields, around) {
    const fit = (field: string, value: number, bits: number) => fits('udp', field, value, bits);
    set16(out, L.UDP_SOURCE_PORT, fit('sport', fields.sport ?? 0, 16));
    set16(out, L.UDP_DESTINATION_PORT, fit('dport', fields.dport ?? 0, 16));
    set16(out, L.UDP_LENGTH, fit('length', fields.length ?? out.length, 16));
    set16(out, L.UDP_CHECKSUM, 0);
    // RFC 768: a checksum that computes to 0 is sent as all ones
    const sum = fields.checksum ?? (segmentChecksum(out, L.PROTOCOL_UDP, around.pseudo) || 0xffff);
    set16(out, L.UDP_CHECKSUM, fit('checksum', sum, 16));
  },

  display: ({ sport, dport, length }) => `udp ${sport} > ${dport} length ${length}`,

  /** None is right over IPv4 and wrong over IPv6 (RFC 8200, section 8.1). A length beyond the packet can't be judged. */
  verify(bytes, fields, pseudo) {
    if (fields.checksum === 0) return pseudo && pseudo.src.length === 4 ? undefined : pseudo && false;
    if (fields.length > bytes.length) return pseudo?.fragment ? undefined : false;
    return segmentVerifies(bytes.subarray(0, fields.length), L.PROTOCOL_UDP, pseudo);
  },
});
