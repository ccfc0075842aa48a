import { VIRTIO_NET_HDR_GSO } from '@lbd/native';

const ETHERNET = 14;
const TCP_FIN_PSH = 0x09;
const TCP_CWR = 0x80;

/** How a large packet of segmentation offload (GSO, or GRO of the receiving side) is cut. */
export interface Cut {
  /** Bytes from the IP header to the L4 header. */
  readonly family: 4 | 6;
  readonly tcp: boolean;
  /** Offset of the L4 header. */
  readonly l4: number;
  /** Bytes of all headers. */
  readonly headers: number;
  /** Payload bytes of each segment but the last. */
  readonly size: number;
  readonly segments: number;
}

/**
 * How the packet is to be cut; undefined if it cannot be.
 * @param packet from the Ethernet header on
 * @param type GSO type of its struct virtio_net_hdr
 * @param size GSO size: payload bytes of a segment as the sender wants it
 * @param room longest segment, bytes with all headers
 */
export function planCut(packet: Uint8Array, type: number, size: number, room: number): Cut | undefined {
  const kind = type & ~VIRTIO_NET_HDR_GSO.ecn;
  const tcp = kind === VIRTIO_NET_HDR_GSO.tcp4 || kind === VIRTIO_NET_HDR_GSO.tcp6;
  if (!tcp && kind !== VIRTIO_NET_HDR_GSO.udpL4) return undefined;
  const family = (packet[ETHERNET] ?? 0) >> 4;
  if (family !== 4 && family !== 6) return undefined;
  // Of a tunnel's packet, the type is what is inside. Extension headers are left to the kernel's own segmentation: local
  // senders do not make them with GSO.
  if (packet[ETHERNET + (family === 4 ? 9 : 6)] !== (tcp ? 6 : 17)) return undefined;
  const l4 = ETHERNET + (family === 4 ? (packet[ETHERNET]! & 15) * 4 : 40);
  const headers = l4 + (tcp ? ((packet[l4 + 12] ?? 0) >> 4) * 4 : 8);
  const least = ETHERNET + (family === 4 ? 20 : 40);
  if (size === 0 || l4 < least || headers < l4 + (tcp ? 20 : 8) || packet.length < headers) return undefined;
  // A TCP segment may be shorter than the sender wanted; a datagram must be what it was.
  const fits = tcp ? Math.min(size, room - headers) : size;
  if (fits <= 0 || headers + fits > room) return undefined;
  return { family, tcp, l4, headers, size: fits, segments: Math.max(1, Math.ceil((packet.length - headers) / fits)) };
}

/**
 * Writes segment `i` of a packet to `to`, and returns its length. Its L4 checksum is partial, as that of the packet was:
 * the pseudo-header's sum.
 */
export function writeSegment(packet: Uint8Array, cut: Cut, i: number, to: Uint8Array): number {
  const { family, tcp, l4, headers, size, segments } = cut;
  const from = headers + i * size;
  const end = Math.min(from + size, packet.length);
  const length = headers + end - from;
  to.set(packet.subarray(0, headers));
  to.set(packet.subarray(from, end), headers);
  if (family === 4) {
    put16(to, ETHERNET + 2, length - ETHERNET);
    // RFC 6864 lets datagrams that are not to be fragmented have any; the kernel counts up too.
    put16(to, ETHERNET + 4, get16(packet, ETHERNET + 4) + i);
    put16(to, ETHERNET + 10, 0);
    put16(to, ETHERNET + 10, ~fold(sum(to, ETHERNET, l4)));
  } else put16(to, ETHERNET + 4, length - ETHERNET - 40);
  if (tcp) {
    const sequence = (get16(packet, l4 + 4) * 0x10000 + get16(packet, l4 + 6) + i * size) % 0x100000000;
    put16(to, l4 + 4, sequence / 0x10000);
    put16(to, l4 + 6, sequence);
    // RFC 3168, section 6.1.2: CWR is said once.
    if (i > 0) to[l4 + 13]! &= ~TCP_CWR;
    if (i < segments - 1) to[l4 + 13]! &= ~TCP_FIN_PSH;
  } else put16(to, l4 + 4, length - l4);
  const addresses = family === 4 ? sum(to, ETHERNET + 12, ETHERNET + 20) : sum(to, ETHERNET + 8, ETHERNET + 40);
  put16(to, l4 + (tcp ? 16 : 6), fold(addresses + (tcp ? 6 : 17) + length - l4));
  return length;
}

const get16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Sum of big-endian words; of an even number of bytes, and few enough not to overflow. */
function sum(bytes: Uint8Array, from: number, to: number): number {
  let total = 0;
  for (let at = from; at < to; at += 2) total += get16(bytes, at);
  return total;
}

/** RFC 1071: the ones' complement sum in 16 bits. */
function fold(total: number): number {
  const once = (total & 0xffff) + (total >>> 16);
  return (once & 0xffff) + (once >>> 16);
}
