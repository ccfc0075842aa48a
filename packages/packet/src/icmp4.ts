import { get16, get32, set16, set32 } from './bytes.ts';
import { checksum, verifies } from './checksum.ts';
import { fits, need } from './errors.ts';
import * as L from './layout.ts';
import { defineProtocol } from './protocol.ts';

export interface Icmp {
  type: number;
  code: number;
  /** The word behind the checksum; its meaning depends on the type. */
  rest: number;
  /** Identifier and sequence of an echo: the halves of `rest`. Building, they take precedence over it. */
  id: number;
  sequence: number;
  /** Computed unless told. */
  checksum: number;
}

const NAMES = new Map([
  [L.ICMP4_ECHO_REPLY, 'echo reply'],
  [L.ICMP4_UNREACHABLE, 'unreachable'],
  [L.ICMP4_REDIRECT, 'redirect'],
  [L.ICMP4_ECHO, 'echo'],
  [L.ICMP4_TIME_EXCEEDED, 'time exceeded'],
  [L.ICMP4_PARAMETER_PROBLEM, 'parameter problem'],
]);

/** ICMP for IPv4. The packet that an error is about is its payload: `ip4.parse` would refuse it, as it is cut short. */
export const icmp4 = defineProtocol<Icmp>({
  protocol: 'icmp4',

  parse: (bytes) => parseIcmp('icmp4', bytes),

  size: () => L.ICMP_BYTES,

  emit(out, fields) {
    emitIcmp('icmp4', out, fields);
    set16(out, L.ICMP_CHECKSUM, fits('icmp4', 'checksum', fields.checksum ?? checksum(out), 16));
  },

  display: ({ type, code, id, sequence }) =>
    type === L.ICMP4_ECHO || type === L.ICMP4_ECHO_REPLY
      ? `icmp4 ${NAMES.get(type)} id ${id} sequence ${sequence}`
      : `icmp4 ${NAMES.get(type) ?? `type ${type}`} code ${code}`,

  verify: (bytes, _fields, pseudo) => (pseudo?.fragment ? undefined : verifies(bytes)),
});

/** The layout that ICMP and ICMPv6 share. */
export function parseIcmp(protocol: string, bytes: Uint8Array) {
  need(protocol, bytes, L.ICMP_BYTES);
  return {
    fields: {
      type: bytes[L.ICMP_TYPE]!,
      code: bytes[L.ICMP_CODE]!,
      rest: get32(bytes, L.ICMP_REST),
      id: get16(bytes, L.ICMP_ID),
      sequence: get16(bytes, L.ICMP_SEQUENCE),
      checksum: get16(bytes, L.ICMP_CHECKSUM),
    },
    headerBytes: L.ICMP_BYTES,
    payload: bytes.subarray(L.ICMP_BYTES),
    next: undefined,
  };
}

/** Writes a header with checksum 0. */
export function emitIcmp(protocol: string, out: Uint8Array, fields: Partial<Icmp>): void {
  out[L.ICMP_TYPE] = fits(protocol, 'type', fields.type ?? 0, 8);
  out[L.ICMP_CODE] = fits(protocol, 'code', fields.code ?? 0, 8);
  set16(out, L.ICMP_CHECKSUM, 0);
  set32(out, L.ICMP_REST, fits(protocol, 'rest', fields.rest ?? 0, 32));
  if (fields.id !== undefined) set16(out, L.ICMP_ID, fits(protocol, 'id', fields.id, 16));
  if (fields.sequence !== undefined) set16(out, L.ICMP_SEQUENCE, fits(protocol, 'sequence', fields.sequence, 16));
}
