import {
  accept,
  addX,
  and,
  byte,
  byteX,
  type Code,
  constant,
  half,
  halfX,
  headerToX,
  type Instruction,
  need,
  not,
  orX,
  reject,
  shiftLeft,
  store,
  stored,
  storedToX,
  toX,
  when,
  whenOneOf,
  whenSet,
  without,
  word,
  wordX,
  xorX,
} from './cbpf.ts';

/** Flows of one family whose packets are wanted. Addresses are one word, or four. */
export interface Flows {
  /** What comes from these addresses and ports. */
  readonly servers: readonly {
    readonly protocol: number;
    readonly port: number;
    readonly addresses: readonly (readonly number[])[];
  }[];
  /** Ports of the local addresses, by protocol. */
  readonly ports: ReadonlyMap<number, readonly number[]>;
  readonly locals: readonly (readonly number[])[];
  readonly tunnelSources: readonly (readonly number[])[];
}

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMP6 = 58;
/** Bytes in front of the packet that an ICMP error is about. */
const ICMP_HEADER = 8;

/**
 * Words of M[]. What names a flow is brought into one form there: for node ports the destination port (in an ICMP error the
 * source port of the packet that it is about, if the error goes to the sender of that), for returns the source address and
 * port (in an error, the destination of the packet that it is about).
 */
const PROTOCOL = 0;
const NODE_PORT = 1;
const PORT = 2;
/** Not 0 if the packet that an error is about was not sent from where the error goes to. */
const FOREIGN = 3;
const SCRATCH = 4;
/** IPv6: bytes of a fragment header, and the bits of it that say which fragment. */
const EXTENSION = 5;
const FRAGMENT6 = 6;
/** Up to four words. */
const ADDRESS = 8;

/** Port of a later fragment: as good as any other. */
const ANY = 0x10000;

// Offsets in a frame (RFC 791).
const IP = 14;
const IP4_FRAGMENT = 6;
const MORE_OR_LATER4 = 0x3fff;
const LATER4 = 0x1fff;
const IP4_PROTOCOL = 9;
const IP4_SOURCE = 12;
const IP4_DESTINATION = 16;

/** Accepts IPv4 packets of the flows; the others go on behind it, or are rejected. */
export function flows4(flows: Flows): Code {
  if (isEmpty(flows)) return [];
  const inside = IP + ICMP_HEADER;
  const error: Code = [
    half(IP + IP4_FRAGMENT),
    ...without(MORE_OR_LATER4),
    byteX(IP),
    ...need(3, 11, 12),
    byteX(inside),
    and(0xf0),
    ...need(0x40),
    halfX(inside + IP4_FRAGMENT),
    ...without(LATER4),
    byteX(inside + IP4_PROTOCOL),
    store(PROTOCOL),
    wordX(inside + IP4_DESTINATION),
    store(ADDRESS),
    ...compareSender(1, inside + IP4_SOURCE, IP + IP4_DESTINATION, headerToX(IP)),
    byteX(inside),
    and(15),
    ...not(0, 1, 2, 3, 4),
    shiftLeft(2),
    addX,
    toX,
    ...portsAbout(inside, tunnel(flows, [ICMP], IP + IP4_DESTINATION)),
  ];
  const whole: Code = [
    headerToX(IP),
    byte(IP + IP4_PROTOCOL),
    ...when(ICMP, error, [...sourceAddress(1, IP + IP4_SOURCE), byte(IP + IP4_PROTOCOL), ...ports(IP)]),
  ];
  const later: Code = [byte(IP + IP4_PROTOCOL), store(PROTOCOL), ...sourceAddress(1, IP + IP4_SOURCE), ...anyPort];
  return [half(IP + IP4_FRAGMENT), ...whenSet(LATER4, later, whole), ...decide(flows, IP + IP4_DESTINATION)];
}

// Offsets in an IPv6 header (RFC 8200).
const IP6_HEADER = 40;
const IP6_NEXT_HEADER = 6;
const IP6_SOURCE = 8;
const IP6_DESTINATION = 24;
const FRAGMENT = 44;
const LATER6 = 0xfff8;
const MORE6 = 1;
/** Extension headers, and "no next header": what is behind them is not known. */
const UNKNOWN6 = [0, 43, 44, 50, 51, 59, 60, 135, 139, 140];

/** Accepts IPv6 packets of the flows. A fragment header is looked behind, other extension headers are not. */
export function flows6(flows: Flows): Code {
  if (isEmpty(flows)) return [];
  const behind = IP + IP6_HEADER;
  const inside = behind + ICMP_HEADER;
  const error: Code = [
    stored(FRAGMENT6),
    ...without(MORE6),
    byteX(behind),
    ...need(1, 2, 3, 4),
    byteX(inside),
    and(0xf0),
    ...need(0x60),
    byteX(inside + IP6_NEXT_HEADER),
    store(PROTOCOL),
    ...range(4).flatMap((i) => [wordX(inside + IP6_DESTINATION + i * 4), store(ADDRESS + i)]),
    ...compareSender(4, inside + IP6_SOURCE, IP + IP6_DESTINATION, storedToX(EXTENSION)),
    ...portsAbout(inside + IP6_HEADER, tunnel(flows, [ICMP6, ...UNKNOWN6], IP + IP6_DESTINATION)),
  ];
  const whole: Code = [
    stored(PROTOCOL),
    ...when(ICMP6, error, [...sourceAddress(4, IP + IP6_SOURCE), stored(PROTOCOL), ...ports(behind)]),
  ];
  const later: Code = [...sourceAddress(4, IP + IP6_SOURCE), ...anyPort];
  return [
    byte(IP + IP6_NEXT_HEADER),
    store(PROTOCOL),
    ...when(
      FRAGMENT,
      [byte(behind), store(PROTOCOL), constant(8), store(EXTENSION), half(behind + 2), store(FRAGMENT6)],
      [constant(0), store(EXTENSION), store(FRAGMENT6)],
    ),
    storedToX(EXTENSION),
    stored(FRAGMENT6),
    ...whenSet(LATER6, later, whole),
    ...decide(flows, IP + IP6_DESTINATION),
  ];
}

function isEmpty({ servers, ports: nodePorts, tunnelSources }: Flows): boolean {
  return servers.length + nodePorts.size + tunnelSources.length === 0;
}

const anyPort: Code = [constant(ANY), store(PORT), store(NODE_PORT)];

const sourceAddress = (words: number, offset: number): Code =>
  range(words).flatMap((i) => [word(offset + i * 4), store(ADDRESS + i)]);

/** A is the protocol; TCP and UDP have their ports at X + offset, others are rejected. */
const ports = (offset: number): Code => [
  ...need(TCP, UDP),
  store(PROTOCOL),
  halfX(offset),
  store(PORT),
  halfX(offset + 2),
  store(NODE_PORT),
];

/** Ports of the packet that an error is about; for other protocols than TCP and UDP `tunnels` decides. */
const portsAbout = (offset: number, tunnels: Code): Code => [
  stored(PROTOCOL),
  ...whenOneOf([TCP, UDP], [], tunnels),
  halfX(offset),
  store(NODE_PORT),
  halfX(offset + 2),
  store(PORT),
  stored(FOREIGN),
  ...when(0, [], [constant(0), store(NODE_PORT)]),
];

/** FOREIGN = whether the address at X + inner is not the one at `outer`; X is restored by `restore`. */
function compareSender(words: number, inner: number, outer: number, restore: Instruction): Code {
  return [
    constant(0),
    store(FOREIGN),
    ...range(words).flatMap(
      (i): Code => [
        wordX(inner + i * 4),
        store(SCRATCH),
        storedToX(SCRATCH),
        word(outer + i * 4),
        xorX,
        toX,
        stored(FOREIGN),
        orX,
        store(FOREIGN),
        restore,
      ],
    ),
  ];
}

/** A is the protocol of the packet that an error is about. Accepts if a tunnel source sent it and is told of it; else rejects. */
function tunnel({ tunnelSources }: Flows, never: readonly number[], destination: number): Code {
  if (tunnelSources.length === 0) return [reject];
  return [
    ...not(...never),
    stored(FOREIGN),
    ...need(0),
    ...ifAddress(tunnelSources, (i) => word(destination + i * 4), [accept]),
    reject,
  ];
}

/** M[] says which flow it is. */
function decide({ servers, ports: nodePorts, locals }: Flows, destination: number): Code {
  const toPort = [...nodePorts].flatMap(
    ([protocol, numbers]): Code => [
      stored(PROTOCOL),
      ...when(protocol, [stored(NODE_PORT), ...whenOneOf([ANY, ...numbers], [accept])]),
    ],
  );
  const local = toPort.length === 0 ? [] : ifAddress(locals, (i) => word(destination + i * 4), toPort);
  const returns = servers.flatMap(
    ({ protocol, port, addresses }): Code => [
      stored(PROTOCOL),
      ...when(protocol, [
        stored(PORT),
        ...whenOneOf(
          [ANY, port],
          ifAddress(addresses, (i) => stored(ADDRESS + i), [accept]),
        ),
      ]),
    ],
  );
  return [...local, ...returns];
}

/** Runs `body` if the words that `load` gives are one of the addresses. */
function ifAddress(addresses: readonly (readonly number[])[], load: (i: number) => Instruction, body: Code): Code {
  if (addresses.length === 0) return [];
  const single = addresses.every(({ length }) => length === 1);
  // The one word stays in A from one comparison to the next.
  if (single) return [load(0), ...whenOneOf(addresses.flat(), body)];
  const tests = (found: Code): Code =>
    addresses.flatMap((words) => words.reduceRight<Code>((inner, value, i) => [load(i), ...when(value, inner)], found));
  if (body.length === 1) return tests(body);
  return [constant(0), store(SCRATCH), ...tests([constant(1), store(SCRATCH)]), stored(SCRATCH), ...when(1, body)];
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
