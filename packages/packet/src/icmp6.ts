import { set16 } from './bytes.ts';
import { fits } from './errors.ts';
import { emitIcmp, type Icmp, parseIcmp } from './icmp4.ts';
import * as L from './layout.ts';
import { defineProtocol } from './protocol.ts';
import { segmentChecksum, segmentVerifies } from './segment.ts';

const NAMES = new Map([
  [L.ICMP6_UNREACHABLE, 'unreachable'],
  [L.ICMP6_PACKET_TOO_BIG, 'packet too big'],
  [L.ICMP6_TIME_EXCEEDED, 'time exceeded'],
  [L.ICMP6_PARAMETER_PROBLEM, 'parameter problem'],
  [L.ICMP6_ECHO, 'echo'],
  [L.ICMP6_ECHO_REPLY, 'echo reply'],
]);

/** ICMPv6. Unlike ICMP's, its checksum covers a pseudo-header. */
export const icmp6 = defineProtocol<Icmp>({
  protocol: 'icmp6',

  parse: (bytes) => parseIcmp('icmp6', bytes),

  size: () => L.ICMP_BYTES,

  emit(out, fields, around) {
    emitIcmp('icmp6', out, fields);
    const sum = fields.checksum ?? segmentChecksum(out, L.PROTOCOL_ICMP6, around.pseudo);
    set16(out, L.ICMP_CHECKSUM, fits('icmp6', 'checksum', sum, 16));
  },

  display: ({ type, code, id, sequence }) =>
    type === L.ICMP6_ECHO || type === L.ICMP6_ECHO_REPLY
      ? `icmp6 ${NAMES.get(type)} id ${id} sequence ${sequence}`
      : `icmp6 ${NAMES.get(type) ?? `type ${type}`} code ${code}`,

  verify: (bytes, _fields, pseudo) => segmentVerifies(bytes, L.PROTOCOL_ICMP6, pseudo),
});
