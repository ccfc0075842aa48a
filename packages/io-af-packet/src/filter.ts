import { type Prefix, parsePrefix } from '@lbd/packet';
import { accept, and, type Code, encode, half, MOST_INSTRUCTIONS, need, reject, when, word } from './cbpf.ts';
import { type Flows, flows4, flows6 } from './flows.ts';

/** Traffic that a port takes. Addresses are text. */
export interface Wanted {
  /** Packets to these prefixes. */
  readonly prefixes: Iterable<string>;
  /** Packets from these addresses, protocols and ports. */
  readonly returns: Iterable<Return>;
  /** Packets to these ports of `locals`. */
  readonly nodePorts?: Iterable<NodePort>;
  /** The host's own addresses. */
  readonly locals?: Iterable<string>;
  /** ICMP errors to these addresses, about packets that were sent from there. */
  readonly tunnelSources?: Iterable<string>;
}

export interface Return {
  readonly address: string;
  /** 6 TCP, 17 UDP. */
  readonly protocol: number;
  readonly port: number;
}

export interface NodePort {
  readonly family: 4 | 6;
  /** 6 TCP, 17 UDP. */
  readonly protocol: number;
  readonly port: number;
}

// Offsets from the Ethernet header on. The kernel takes VLAN tags off before the filter sees the packet.
const ETHERTYPE = 12;
const IP4_DESTINATION = 30;
const IP6_DESTINATION = 38;

// Ancillary data of a packet (SKF_AD_OFF and what is behind it).
const PACKET_TYPE = 0xfffff000 + 4;
const VLAN_TAG_PRESENT = 0xfffff000 + 48;
const PACKET_HOST = 0;

/**
 * The classic BPF program (SO_ATTACH_FILTER) that accepts what is wanted and nothing else: packets sent to this host, not
 * tagged. With the packets that `returns` and `nodePorts` name come ICMP errors about their flows, and later fragments, which
 * have no ports: those from an address of `returns`, and those to a local address with the protocol of a node port.
 * @throws RangeError if it needs more than MOST_INSTRUCTIONS
 */
export function buildFilter(wanted: Wanted): Uint8Array {
  // Iterables may be read only once, and there are two families.
  const { prefixes, returns, nodePorts = [], locals = [], tunnelSources = [] } = wanted;
  const destinations = [...prefixes].map(parsed);
  const lists: Lists = {
    returns: [...returns],
    nodePorts: [...nodePorts],
    locals: [...locals],
    tunnelSources: [...tunnelSources],
  };
  const program: Code = [
    word(PACKET_TYPE),
    ...need(PACKET_HOST),
    word(VLAN_TAG_PRESENT),
    ...need(0),
    half(ETHERTYPE),
    ...when(0x0800, [
      ...destinations.filter(({ family }) => family === 4).flatMap((prefix) => inPrefix(IP4_DESTINATION, prefix)),
      ...flows4(flowsOf(lists, 4)),
      reject,
    ]),
    ...when(0x86dd, [
      ...destinations.filter(({ family }) => family === 6).flatMap((prefix) => inPrefix(IP6_DESTINATION, prefix)),
      ...flows6(flowsOf(lists, 6)),
      reject,
    ]),
    reject,
  ];
  if (program.length > MOST_INSTRUCTIONS) {
    throw new RangeError(`a packet filter of ${program.length} instructions; the kernel takes ${MOST_INSTRUCTIONS}`);
  }
  return encode(program);
}

/** Accepts if the address at `offset` is in the prefix. */
function inPrefix(offset: number, { bytes, length }: Prefix): Code {
  const words = wordsOf(bytes).slice(0, Math.ceil(length / 32));
  return words.reduceRight<Code>(
    (inner, value, i) => {
      const bits = Math.min(32, length - i * 32);
      const masked = bits < 32 ? [and((0xffffffff << (32 - bits)) >>> 0)] : [];
      return [word(offset + i * 4), ...masked, ...when(value, inner)];
    },
    [accept],
  );
}

interface Lists {
  readonly returns: readonly Return[];
  readonly nodePorts: readonly NodePort[];
  readonly locals: readonly string[];
  readonly tunnelSources: readonly string[];
}

/** What is wanted of one family, with addresses as words. */
function flowsOf({ returns, nodePorts, locals, tunnelSources }: Lists, family: 4 | 6): Flows {
  const addresses = (texts: readonly string[]): number[][] =>
    texts.filter((text) => parsed(text).family === family).map((text) => wordsOf(parsed(text).bytes));
  const servers = new Map<string, { protocol: number; port: number; addresses: number[][] }>();
  for (const { address, protocol, port } of returns) {
    const prefix = parsed(address);
    if (prefix.family !== family) continue;
    const group = servers.get(`${protocol} ${port}`) ?? { protocol, port, addresses: [] };
    servers.set(`${protocol} ${port}`, group);
    group.addresses.push(wordsOf(prefix.bytes));
  }
  const ports = new Map<number, number[]>();
  for (const { protocol, port } of nodePorts.filter((entry) => entry.family === family)) {
    ports.set(protocol, [...(ports.get(protocol) ?? []), port]);
  }
  return { servers: [...servers.values()], ports, locals: addresses(locals), tunnelSources: addresses(tunnelSources) };
}

/** Addresses that were seen before: a filter is built anew for each entry that comes. */
const cache = new Map<string, Prefix>();
const MOST_CACHED = 16384;

function parsed(text: string): Prefix {
  const prefix = cache.get(text) ?? parsePrefix(text);
  if (cache.size >= MOST_CACHED) cache.clear();
  cache.set(text, prefix);
  return prefix;
}

function wordsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(i * 4));
}

/** A filter that accepts nothing. */
export const NOTHING = buildFilter({ prefixes: [], returns: [] });
