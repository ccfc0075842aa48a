import * as L from './layout.ts';
import type { Layer } from './protocol.ts';

const ETHERTYPES = new Map([
  ['ip4', L.ETHERTYPE_IP4],
  ['ip6', L.ETHERTYPE_IP6],
  ['arp', L.ETHERTYPE_ARP],
]);

const IP_PROTOCOLS = new Map([
  ['hop-by-hop', L.PROTOCOL_HOP_BY_HOP],
  ['icmp4', L.PROTOCOL_ICMP4],
  ['ip4', L.PROTOCOL_IP4],
  ['tcp', L.PROTOCOL_TCP],
  ['udp', L.PROTOCOL_UDP],
  ['ip6', L.PROTOCOL_IP6],
  ['routing', L.PROTOCOL_ROUTING],
  ['fragment', L.PROTOCOL_FRAGMENT],
  ['gre', L.PROTOCOL_GRE],
  ['esp', L.PROTOCOL_ESP],
  ['ah', L.PROTOCOL_AH],
  ['icmp6', L.PROTOCOL_ICMP6],
  ['no-next', L.PROTOCOL_NO_NEXT],
  ['destination-options', L.PROTOCOL_DESTINATION_OPTIONS],
]);
const IP_NAMES = new Map([...IP_PROTOCOLS].map(([name, number]) => [number, name]));

/** The EtherType that announces a layer; undefined if it has none. */
export function ethertypeOf(layer: Layer | undefined): number | undefined {
  return layer && ETHERTYPES.get(layer.protocol.protocol);
}

/** The IP protocol number that announces a layer; undefined if it has none. */
export function ipProtocolOf(layer: Layer | undefined): number | undefined {
  return layer && IP_PROTOCOLS.get(layer.protocol.protocol);
}

/** The name of an IP protocol number. */
export function protocolText(number: number): string {
  return IP_NAMES.get(number) ?? `protocol ${number}`;
}
