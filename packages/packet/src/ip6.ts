import { addressBytes, addressText } from './address.ts';
import { get16, get32, set16, set32 } from './bytes.ts';
import { fits, malformed, need, PacketError } from './errors.ts';
import * as L from './layout.ts';
import { defineProtocol } from './protocol.ts';
import { ipProtocolOf, protocolText } from './registry.ts';

export interface Ip6 {
  src: string;
  dst: string;
  /** Protocol number behind all extension headers; that of the next layer unless told. */
  protocol: number;
  /** 64 unless told. */
  hopLimit: number;
  trafficClass: number;
  flowLabel: number;
  /** Extension headers, in order. */
  extensions: readonly Ip6Extension[];
  /** Bytes behind the fixed header; computed unless told. */
  length: number;
}

export interface Ip6Extension {
  /** Its protocol number, e.g. PROTOCOL_FRAGMENT. */
  readonly type: number;
  /** The header from its second byte on (the first names what follows): 7, 15, 23 ... bytes; for AH 4n - 1. */
  readonly data: Uint8Array;
}

/** Where a walk over extension headers ended. */
export interface Ip6Walk {
  readonly extensions: readonly Ip6Extension[];
  /** Protocol number of what follows the last one. */
  readonly protocol: number;
  /** Offset of what follows, from the start of the fixed header. */
  readonly offset: number;
  /** Set if there is a fragment header with an offset or the M flag (an atomic fragment is none, RFC 6946). */
  readonly fragment: { readonly id: number; readonly offset: number; readonly more: boolean } | undefined;
}

/**
 * Walks the extension headers, at most IP6_MAX_EXTENSIONS and never past the packet's end. It stops at a header that it
 * does not know, and behind the fragment header of a later fragment, where payload begins.
 * @param bytes the packet from its fixed header on, as long as that says
 * @throws PacketError
 */
export function walkExtensions(bytes: Uint8Array): Ip6Walk {
  const extensions: Ip6Extension[] = [];
  let protocol = bytes[L.IP6_NEXT_HEADER]!;
  let offset = L.IP6_BYTES;
  let fragment: Ip6Walk['fragment'];
  while (isExtension(protocol)) {
    if (extensions.length === L.IP6_MAX_EXTENSIONS) {
      throw malformed('ip6', `more than ${L.IP6_MAX_EXTENSIONS} extension headers`);
    }
    need('ip6', bytes, offset + 8, 'extension header');
    const size = extensionBytes(protocol, bytes[offset + L.IP6_EXTENSION_LENGTH]!);
    need('ip6', bytes, offset + size, 'extension header');
    extensions.push({ type: protocol, data: bytes.subarray(offset + 1, offset + size) });
    if (protocol === L.PROTOCOL_FRAGMENT) {
      const word = get16(bytes, offset + L.IP6_FRAGMENT_OFFSET);
      const more = (word & 1) === 1;
      const at = word & 0xfff8;
      if (more || at > 0) fragment = { id: get32(bytes, offset + L.IP6_FRAGMENT_ID), offset: at, more };
    }
    protocol = bytes[offset + L.IP6_EXTENSION_NEXT]!;
    offset += size;
    if (fragment && fragment.offset > 0) break;
  }
  return { extensions, protocol, offset, fragment };
}

/** IPv6, its extension headers included. */
export const ip6 = defineProtocol<Ip6>({
  protocol: 'ip6',

  parse(bytes) {
    need('ip6', bytes, L.IP6_BYTES);
    const word = get32(bytes, L.IP6_VERSION_CLASS_FLOW);
    if (word >>> 28 !== 6) throw malformed('ip6', `version is ${word >>> 28}, must be 6`);
    const length = get16(bytes, L.IP6_LENGTH);
    need('ip6', bytes, L.IP6_BYTES + length, 'packet');
    const walk = walkExtensions(bytes.subarray(0, L.IP6_BYTES + length));
    const src = bytes.subarray(L.IP6_SOURCE, L.IP6_SOURCE + 16);
    const dst = bytes.subarray(L.IP6_DESTINATION, L.IP6_DESTINATION + 16);
    const later = walk.fragment !== undefined && walk.fragment.offset > 0;
    return {
      fields: {
        src: addressText(src),
        dst: addressText(dst),
        protocol: walk.protocol,
        hopLimit: bytes[L.IP6_HOP_LIMIT]!,
        trafficClass: (word >>> 20) & 0xff,
        flowLabel: word & 0xfffff,
        extensions: walk.extensions,
        length,
      },
      headerBytes: walk.offset,
      payload: bytes.subarray(walk.offset, L.IP6_BYTES + length),
      next: later ? undefined : { ipProtocol: walk.protocol, family: 6 },
      pseudo: { src, dst, fragment: walk.fragment !== undefined },
    };
  },

  size: (fields) => (fields.extensions ?? []).reduce((bytes, { data }) => bytes + 1 + data.length, L.IP6_BYTES),

  emit(out, fields, around) {
    const fit = (field: string, value: number, bits: number) => fits('ip6', field, value, bits);
    const extensions = fields.extensions ?? [];
    const protocol = fit('protocol', fields.protocol ?? ipProtocolOf(around.next) ?? L.PROTOCOL_NO_NEXT, 8);
    const trafficClass = fit('trafficClass', fields.trafficClass ?? 0, 8);
    const flowLabel = fit('flowLabel', fields.flowLabel ?? 0, 20);
    set32(out, L.IP6_VERSION_CLASS_FLOW, ((6 << 28) | (trafficClass << 20) | flowLabel) >>> 0);
    set16(out, L.IP6_LENGTH, fit('length', fields.length ?? out.length - L.IP6_BYTES, 16));
    out[L.IP6_NEXT_HEADER] = extensions[0]?.type ?? protocol;
    out[L.IP6_HOP_LIMIT] = fit('hopLimit', fields.hopLimit ?? 64, 8);
    out.set(address(fields.src ?? '::'), L.IP6_SOURCE);
    out.set(address(fields.dst ?? '::'), L.IP6_DESTINATION);
    let at = L.IP6_BYTES;
    for (const [i, { data }] of extensions.entries()) {
      out[at] = extensions[i + 1]?.type ?? protocol;
      out.set(data, at + 1);
      at += 1 + data.length;
    }
  },

  display({ src, dst, protocol, hopLimit, length, extensions }) {
    const through = extensions.map(({ type }) => ` ${protocolText(type)}`).join('');
    return `ip6 ${src} > ${dst}${through} ${protocolText(protocol)} hop limit ${hopLimit} length ${length}`;
  },
});

/** The data of a fragment header for `extensions`. */
export function fragmentExtension(id: number, offset: number, more: boolean): Ip6Extension {
  const data = new Uint8Array(L.IP6_FRAGMENT_BYTES - 1);
  set16(data, L.IP6_FRAGMENT_OFFSET - 1, (offset & 0xfff8) | (more ? 1 : 0));
  set32(data, L.IP6_FRAGMENT_ID - 1, id);
  return { type: L.PROTOCOL_FRAGMENT, data };
}

function isExtension(protocol: number): boolean {
  return (
    protocol === L.PROTOCOL_HOP_BY_HOP ||
    protocol === L.PROTOCOL_ROUTING ||
    protocol === L.PROTOCOL_FRAGMENT ||
    protocol === L.PROTOCOL_AH ||
    protocol === L.PROTOCOL_DESTINATION_OPTIONS
  );
}

function extensionBytes(protocol: number, length: number): number {
  if (protocol === L.PROTOCOL_FRAGMENT) return L.IP6_FRAGMENT_BYTES;
  return protocol === L.PROTOCOL_AH ? (length + 2) * 4 : (length + 1) * 8;
}

function address(text: string): Uint8Array {
  const bytes = addressBytes(text);
  if (bytes.length === 16) return bytes;
  throw new PacketError('LBD_PACKET_FIELD', 'ip6', `address ${text} must be an IPv6 address`);
}
