import { arp } from './arp.ts';
import { PacketError } from './errors.ts';
import { ethernet } from './ethernet.ts';
import { gre } from './gre.ts';
import { icmp4 } from './icmp4.ts';
import { icmp6 } from './icmp6.ts';
import { ip4 } from './ip4.ts';
import { ip6 } from './ip6.ts';
import * as L from './layout.ts';
import type { Follows, Parsed, Protocol, Pseudo } from './protocol.ts';
import { tcp } from './tcp.ts';
import { udp } from './udp.ts';

/** One layer of a packet taken apart. */
export interface Dissected {
  readonly protocol: Protocol<object>;
  readonly fields: object;
  /** Offset of its header in the packet. */
  readonly offset: number;
  readonly headerBytes: number;
  readonly payload: Uint8Array;
  /** What its checksum is; `none` also if it can't be judged (a fragment). */
  readonly checksum: 'good' | 'bad' | 'none';
}

/** Where to start: `ip` looks at the version. */
export type Start = 'ethernet' | 'ip' | Protocol<never> | Protocol<object>;

const BY_ETHERTYPE = new Map<number, unknown>([
  [L.ETHERTYPE_IP4, ip4],
  [L.ETHERTYPE_IP6, ip6],
  [L.ETHERTYPE_ARP, arp],
]);
const BY_IP_PROTOCOL = new Map<number, unknown>([
  [L.PROTOCOL_TCP, tcp],
  [L.PROTOCOL_UDP, udp],
  [L.PROTOCOL_GRE, gre],
  [L.PROTOCOL_IP4, ip4],
  [L.PROTOCOL_IP6, ip6],
]);

/**
 * Takes a packet apart, layer by layer, until what follows is not known.
 * @throws PacketError at the first layer that is truncated or malformed
 */
export function dissect(bytes: Uint8Array, start: Start = 'ethernet'): Dissected[] {
  const layers: Dissected[] = [];
  for (const layer of walk(bytes, start)) layers.push(layer);
  return layers;
}

/** One line for traces: each layer's own words; where taking apart fails it says how. Never throws. */
export function describe(bytes: Uint8Array, start: Start = 'ethernet'): string {
  const words: string[] = [];
  let rest = bytes.length;
  try {
    for (const layer of walk(bytes, start)) {
      words.push(layer.protocol.display(layer.fields) + (layer.checksum === 'bad' ? ' (bad checksum)' : ''));
      rest = layer.payload.length;
    }
    if (rest > 0) words.push(`${rest} bytes`);
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    words.push(`(${error.message})`);
  }
  return words.join(' / ');
}

function* walk(bytes: Uint8Array, start: Start): Generator<Dissected> {
  let protocol: Protocol<object> | undefined = first(bytes, start);
  let rest = bytes;
  let pseudo: Pseudo | undefined;
  while (protocol) {
    const parsed: Parsed<object> = protocol.parse(rest);
    // what the enclosing header did not cut off is the segment that a checksum covers
    const good = protocol.verify?.(rest, parsed.fields, pseudo);
    yield {
      protocol,
      fields: parsed.fields,
      offset: rest.byteOffset - bytes.byteOffset,
      headerBytes: parsed.headerBytes,
      payload: parsed.payload,
      checksum: good === undefined ? 'none' : good ? 'good' : 'bad',
    };
    rest = parsed.payload;
    pseudo = parsed.pseudo;
    protocol = parsed.next && follower(parsed.next);
  }
}

function first(bytes: Uint8Array, start: Start): Protocol<object> {
  if (start === 'ethernet') return ethernet as unknown as Protocol<object>;
  if (start === 'ip') return ((bytes[0] ?? 0) >> 4 === 6 ? ip6 : ip4) as unknown as Protocol<object>;
  return start as Protocol<object>;
}

function follower(next: Follows): Protocol<object> | undefined {
  if ('ethertype' in next) return BY_ETHERTYPE.get(next.ethertype) as Protocol<object> | undefined;
  if (next.family === 4 && next.ipProtocol === L.PROTOCOL_ICMP4) return icmp4 as unknown as Protocol<object>;
  if (next.family === 6 && next.ipProtocol === L.PROTOCOL_ICMP6) return icmp6 as unknown as Protocol<object>;
  return BY_IP_PROTOCOL.get(next.ipProtocol) as Protocol<object> | undefined;
}
