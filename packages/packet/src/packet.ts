import { addressBytes } from './address.ts';
import { PacketError } from './errors.ts';
import type { Layer, Pseudo } from './protocol.ts';

/** A layer, or payload: bytes, or text as UTF-8. */
export type Part = AnyLayer | Uint8Array | string;

/** A layer of whichever protocol. */
export interface AnyLayer {
  readonly protocol: { readonly protocol: string };
  readonly fields: object;
}

/**
 * Builds a packet from its layers, outermost first: lengths, next-protocol fields and checksums that are not told are
 * computed.
 * @throws PacketError, AddressError
 */
export function packet(...parts: Part[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(packetBytes(parts));
  packetInto(bytes, ...parts);
  return bytes;
}

/**
 * Builds a packet at the start of a buffer, whatever was there, and returns its length.
 * @throws PacketError, AddressError
 */
export function packetInto(buffer: Uint8Array, ...parts: Part[]): number {
  const total = packetBytes(parts);
  if (total > buffer.length) {
    throw new PacketError('LBD_PACKET_FIELD', 'packet', `of ${total} bytes does not fit a buffer of ${buffer.length}`);
  }
  const out = buffer.subarray(0, total);
  // innermost first: a checksum covers what is inside
  let at = total;
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!;
    at -= partBytes(part);
    const layer = layerOf(part);
    if (layer) {
      layer.protocol.emit(out.subarray(at), layer.fields, {
        next: layerOf(parts[i + 1]),
        pseudo: pseudoOf(parts[i - 1]),
      });
    } else out.set(payloadOf(part), at);
  }
  return total;
}

/** The part as a layer; undefined if it is payload or not there. */
export function layerOf(part: Part | undefined): Layer | undefined {
  return typeof part === 'object' && 'protocol' in part ? (part as Layer) : undefined;
}

/** The bytes of a part that is payload. */
export function payloadOf(part: Part): Uint8Array {
  return typeof part === 'string' ? new TextEncoder().encode(part) : (part as Uint8Array);
}

function packetBytes(parts: readonly Part[]): number {
  return parts.reduce<number>((bytes, part) => bytes + partBytes(part), 0);
}

function partBytes(part: Part): number {
  const layer = layerOf(part);
  return layer ? layer.protocol.size(layer.fields) : payloadOf(part).length;
}

/** The addresses of an IP layer. */
function pseudoOf(part: Part | undefined): Pseudo | undefined {
  const layer = layerOf(part);
  if (!layer) return undefined;
  const { src, dst } = layer.fields as { src?: string; dst?: string };
  if (layer.protocol.protocol === 'ip4')
    return { src: addressBytes(src ?? '0.0.0.0'), dst: addressBytes(dst ?? '0.0.0.0') };
  if (layer.protocol.protocol === 'ip6') return { src: addressBytes(src ?? '::'), dst: addressBytes(dst ?? '::') };
  return undefined;
}
