export {
  addressBytes,
  addressText,
  contains,
  type Family,
  familyOf,
  ip4FromNumber,
  ip4Number,
  macBytes,
  macText,
  type Prefix,
  parsePrefix,
  prefixOf,
  prefixText,
} from './address.ts';
export { type Arp, arp } from './arp.ts';
export { checksum, fold, patch, pseudoHeader, sum, verifies } from './checksum.ts';
export { type Dissected, describe, dissect, type Start } from './dissect.ts';
export { AddressError, PacketError } from './errors.ts';
export { type Ethernet, ethernet } from './ethernet.ts';
export { expectPacket, PacketMismatch } from './expect.ts';
export { type Gre, gre } from './gre.ts';
export { type Icmp, icmp4 } from './icmp4.ts';
export { icmp6 } from './icmp6.ts';
export { type Ip4, ip4 } from './ip4.ts';
export { fragmentExtension, type Ip6, type Ip6Extension, type Ip6Walk, ip6, walkExtensions } from './ip6.ts';
export * from './layout.ts';
export { type AnyLayer, type Part, packet, packetInto } from './packet.ts';
export { defineProtocol, type Layer, type Parsed, type Protocol, type Pseudo } from './protocol.ts';
export { protocolText } from './registry.ts';
export { type Tcp, tcp } from './tcp.ts';
export { type Udp, udp } from './udp.ts';
