import { addressBytes, addressText } from './address.ts';
import { get16, set16 } from './bytes.ts';
import { checksum, verifies } from './checksum.ts';
import { fits, malformed, need, PacketError } from './errors.ts';
import * as L from './layout.ts';
import { defineProtocol } from './protocol.ts';
import { ipProtocolOf, protocolText } from './registry.ts';

export interface Ip4 {
  src: string;
  dst: string;
  /** IP protocol number; that of the next layer unless told. */
  protocol: number;
  /** 64 unless told. */
  ttl: number;
  tos: number;
  id: number;
  /** Don't fragment. */
  df: boolean;
  /** More fragments. */
  mf: boolean;
  /** In bytes, a multiple of 8. */
  fragmentOffset: number;
  /** As on the wire, without the padding that emit adds to a multiple of 4 bytes; parse leaves it in. */
  options: Uint8Array;
  /** Total length, bytes; computed unless told. */
  length: number;
  /** Computed unless told. */
  checksum: number;
}

const NO_OPTIONS = new Uint8Array();

/** IPv4. */
export const ip4 = defineProtocol<Ip4>({
  protocol: 'ip4',

  parse(bytes) {
    need('ip4', bytes, L.IP4_BYTES);
    const version = bytes[L.IP4_VERSION_IHL]! >> 4;
    if (version !== 4) throw malformed('ip4', `version is ${version}, must be 4`);
    const headerBytes = (bytes[L.IP4_VERSION_IHL]! & 15) * 4;
    if (headerBytes < L.IP4_BYTES) throw malformed('ip4', `header of ${headerBytes} bytes, must be 20 to 60`);
    const length = get16(bytes, L.IP4_LENGTH);
    if (length < headerBytes)
      throw malformed('ip4', `total length ${length}, must be at least the header's ${headerBytes}`);
    need('ip4', bytes, length, 'packet');
    const fragment = get16(bytes, L.IP4_FRAGMENT);
    const src = bytes.subarray(L.IP4_SOURCE, L.IP4_SOURCE + 4);
    const dst = bytes.subarray(L.IP4_DESTINATION, L.IP4_DESTINATION + 4);
    const fields: Ip4 = {
      src: addressText(src),
      dst: addressText(dst),
      protocol: bytes[L.IP4_PROTOCOL]!,
      ttl: bytes[L.IP4_TTL]!,
      tos: bytes[L.IP4_TOS]!,
      id: get16(bytes, L.IP4_ID),
      df: (fragment & L.IP4_DF) !== 0,
      mf: (fragment & L.IP4_MF) !== 0,
      fragmentOffset: (fragment & L.IP4_OFFSET_MASK) * 8,
      options: bytes.subarray(L.IP4_BYTES, headerBytes),
      length,
      checksum: get16(bytes, L.IP4_CHECKSUM),
    };
    return {
      fields,
      headerBytes,
      payload: bytes.subarray(headerBytes, length),
      next: fields.fragmentOffset > 0 ? undefined : { ipProtocol: fields.protocol, family: 4 },
      pseudo: { src, dst, fragment: fields.mf || fields.fragmentOffset > 0 },
    };
  },

  size(fields) {
    const bytes = L.IP4_BYTES + Math.ceil((fields.options ?? NO_OPTIONS).length / 4) * 4;
    if (bytes <= L.IP4_MAX_BYTES) return bytes;
    throw new PacketError('LBD_PACKET_FIELD', 'ip4', `options of ${fields.options!.length} bytes, at most 40 fit`);
  },

  emit(out, fields, around) {
    const headerBytes = this.size(fields);
    const fit = (field: string, value: number, bits: number) => fits('ip4', field, value, bits);
    const offset = fields.fragmentOffset ?? 0;
    if (offset % 8 !== 0)
      throw new PacketError('LBD_PACKET_FIELD', 'ip4', `fragmentOffset ${offset} must be a multiple of 8`);
    out.fill(0, 0, headerBytes);
    out[L.IP4_VERSION_IHL] = 0x40 | (headerBytes / 4);
    out[L.IP4_TOS] = fit('tos', fields.tos ?? 0, 8);
    set16(out, L.IP4_LENGTH, fit('length', fields.length ?? out.length, 16));
    set16(out, L.IP4_ID, fit('id', fields.id ?? 0, 16));
    const flags = (fields.df ? L.IP4_DF : 0) | (fields.mf ? L.IP4_MF : 0);
    set16(out, L.IP4_FRAGMENT, flags | fit('fragmentOffset', offset / 8, 13));
    out[L.IP4_TTL] = fit('ttl', fields.ttl ?? 64, 8);
    out[L.IP4_PROTOCOL] = fit('protocol', fields.protocol ?? ipProtocolOf(around.next) ?? 255, 8);
    out.set(address(fields.src ?? '0.0.0.0'), L.IP4_SOURCE);
    out.set(address(fields.dst ?? '0.0.0.0'), L.IP4_DESTINATION);
    out.set(fields.options ?? NO_OPTIONS, L.IP4_BYTES);
    set16(out, L.IP4_CHECKSUM, fit('checksum', fields.checksum ?? checksum(out.subarray(0, headerBytes)), 16));
  },

  display({ src, dst, protocol, ttl, length, mf, df, fragmentOffset }) {
    const fragment = mf || fragmentOffset > 0 ? ` fragment ${fragmentOffset}${mf ? '+' : ''}` : '';
    return `ip4 ${src} > ${dst} ${protocolText(protocol)} ttl ${ttl} length ${length}${df ? ' df' : ''}${fragment}`;
  },

  verify: (bytes, fields) => verifies(bytes.subarray(0, L.IP4_BYTES + fields.options.length)),
});

function address(text: string): Uint8Array {
  const bytes = addressBytes(text);
  if (bytes.length === 4) return bytes;
  throw new PacketError('LBD_PACKET_FIELD', 'ip4', `address ${text} must be an IPv4 address`);
}
