import {
  fragmentExtension,
  icmp4,
  icmp6,
  ip4,
  ip6,
  PROTOCOL_DESTINATION_OPTIONS,
  PROTOCOL_ESP,
  PROTOCOL_HOP_BY_HOP,
  packet,
  tcp,
  udp,
} from '@lbd/packet';
import type { Target } from './bed.ts';

/** A packet of some shape to a VIP. */
export interface Shape {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** TCP or UDP with its ports: every encap must carry it. Others are for VIPs with all ports and protocols. */
  readonly ports: boolean;
  /** Fragments come after the first of their datagram. */
  readonly fragment?: true;
}

const CLIENTS = { 4: '1.2.3.4', 6: '2001:db8:1::4' } as const;
/** What fills payloads: no zeros, each place another byte than its neighbours. */
const filler = (bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + 1) & 0xff || 0xff);
const options = (type: number) => ({ type, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) });

export interface Flow {
  readonly src?: string;
  readonly sport?: number;
}

/** One TCP packet of a client. */
export function tcpPacket(
  target: Target,
  { src = CLIENTS[target.family], sport = 4000 }: Flow = {},
  payload = 'hello',
): Uint8Array {
  const layer = tcp({ sport, dport: target.port, flags: 'PA', seq: 1000, ack: 2000 });
  return packet(ipLayer(target, { src }), layer, payload);
}

/** The IP layer of a client's packet. */
export function ipLayer(target: Target, fields: Record<string, unknown> = {}) {
  const { family, address: dst } = target;
  const src = CLIENTS[family];
  if (family === 6) return ip6({ src, dst, hopLimit: 33, trafficClass: 0x2e << 2, flowLabel: 0x12345, ...fields });
  return ip4({ src, dst, ttl: 33, tos: 0x2e << 2, id: 0x1234, ...fields });
}

/** Packets of all shapes to a VIP. @param longest bytes of the longest packet that fits */
export function shapesFor(target: Target, longest: number): Shape[] {
  const { family, port: dport } = target;
  const ports = { sport: 4001, dport };
  const ip = (fields: Record<string, unknown> = {}) => ipLayer(target, fields);
  const header = family === 4 ? 20 : 40;
  const shape = (name: string, ...parts: Parameters<typeof packet>): Shape => ({
    name,
    bytes: packet(...parts),
    ports: true,
  });
  const other = (name: string, ...parts: Parameters<typeof packet>): Shape => ({
    ...shape(name, ...parts),
    ports: false,
  });
  const shapes = [
    shape('TCP, the first packet', ip(), tcp({ ...ports, flags: 'S' })),
    shape('TCP with data', ip(), tcp({ ...ports, flags: 'PA' }), filler(100)),
    shape('TCP with an odd number of bytes', ip(), tcp({ ...ports, flags: 'PA' }), filler(101)),
    shape('TCP, the last packet', ip(), tcp({ ...ports, flags: 'FA' })),
    shape('UDP', ip(), udp(ports), filler(64)),
    shape('UDP with an odd number of bytes', ip(), udp(ports), filler(33)),
    shape('UDP without data', ip(), udp(ports)),
    shape('UDP of one byte', ip(), udp(ports), filler(1)),
    shape('UDP as long as the way takes', ip(), udp(ports), filler(longest - header - 8)),
    shape('TCP as long as the way takes, less one', ip(), tcp({ ...ports, flags: 'A' }), filler(longest - header - 21)),
    other('another protocol (ESP)', ip({ protocol: PROTOCOL_ESP }), filler(48)),
    other('a protocol that nobody knows', ip({ protocol: 253 }), filler(21)),
    other('an IP header and nothing else', ip({ protocol: 253 })),
  ];
  return [...shapes, ...(family === 4 ? shapes4(target, shape, other) : shapes6(target, shape, other))];
}

type Make = (name: string, ...parts: Parameters<typeof packet>) => Shape;

function shapes4(target: Target, shape: Make, other: Make): Shape[] {
  const ports = { sport: 4001, dport: target.port };
  const ip = (fields: Record<string, unknown> = {}) => ipLayer(target, fields);
  const datagram = packet(ip(), udp(ports), filler(40)).subarray(20);
  const piece = (from: number, to: number, id: number): Shape => {
    const at = { id, protocol: 17, fragmentOffset: from, mf: to < datagram.length };
    return { ...shape(`fragment from byte ${from} on`, ip(at), datagram.slice(from, to)), fragment: true };
  };
  return [
    shape('IPv4 with DF', ip({ df: true }), udp(ports), filler(10)),
    shape('IPv4 without a TTL to spare', ip({ ttl: 2 }), udp(ports), filler(10)),
    shape('IPv4 with the largest of fields', ip({ ttl: 255, tos: 0xff, id: 0xffff }), udp(ports), filler(10)),
    shape('IPv4 with the smallest of fields', ip({ tos: 0, id: 0 }), udp(ports), filler(10)),
    shape(
      'IPv4 with options',
      ip({ options: Uint8Array.of(0x94, 4, 0, 0) }),
      tcp({ ...ports, flags: 'PA' }),
      filler(9),
    ),
    shape('IPv4 with all options that fit', ip({ options: new Uint8Array(40).fill(1) }), udp(ports), filler(9)),
    shape('UDP without a checksum', ip(), udp({ ...ports, checksum: 0 }), filler(9)),
    shape('UDP with a wrong checksum', ip(), udp({ ...ports, checksum: 0xbad }), filler(9)),
    shape('TCP with a wrong checksum', ip(), tcp({ ...ports, flags: 'A', checksum: 0xbad }), filler(9)),
    other('ICMP echo request', ip(), icmp4({ type: 8, id: 7, sequence: 9 }), filler(56)),
    piece(0, 16, 77),
    piece(16, 32, 77),
    piece(32, datagram.length, 77),
  ];
}

function shapes6(target: Target, shape: Make, other: Make): Shape[] {
  const ports = { sport: 4001, dport: target.port };
  const ip = (fields: Record<string, unknown> = {}) => ipLayer(target, fields);
  const datagram = packet(ip(), udp(ports), filler(40)).subarray(40);
  const piece = (from: number, to: number): Shape => {
    const extensions = [fragmentExtension(77, from, to < datagram.length)];
    return {
      ...shape(`fragment from byte ${from} on`, ip({ protocol: 17, extensions }), datagram.slice(from, to)),
      fragment: true,
    };
  };
  return [
    shape('IPv6 without a hop to spare', ip({ hopLimit: 2 }), udp(ports), filler(10)),
    shape('IPv6 with the largest of fields', ip({ hopLimit: 255, trafficClass: 0xff, flowLabel: 0xfffff }), udp(ports)),
    shape('IPv6 with the smallest of fields', ip({ trafficClass: 0, flowLabel: 0 }), udp(ports), filler(10)),
    shape('IPv6 with hop-by-hop options', ip({ extensions: [options(PROTOCOL_HOP_BY_HOP)] }), udp(ports), filler(9)),
    shape(
      'IPv6 with several extension headers',
      ip({ extensions: [options(PROTOCOL_HOP_BY_HOP), options(PROTOCOL_DESTINATION_OPTIONS)] }),
      tcp({ ...ports, flags: 'PA' }),
      filler(9),
    ),
    shape('an atomic fragment', ip({ extensions: [fragmentExtension(76, 0, false)] }), udp(ports), filler(9)),
    shape('UDP with a wrong checksum', ip(), udp({ ...ports, checksum: 0xbad }), filler(9)),
    other('ICMPv6 echo request', ip(), icmp6({ type: 128, id: 7, sequence: 9 }), filler(56)),
    piece(0, 16),
    piece(16, 32),
    piece(32, datagram.length),
  ];
}
