import { type Prefix, parsePrefix } from '@lbd/packet';

/** Traffic that a port takes. Addresses are text. */
export interface Wanted {
  /** Packets to these prefixes. */
  readonly prefixes: Iterable<string>;
  /** Packets from these addresses, protocols and ports. */
  readonly returns: Iterable<Return>;
}

export interface Return {
  readonly address: string;
  /** 6 TCP, 17 UDP. */
  readonly protocol: number;
  readonly port: number;
}

/** Instructions that the kernel takes, at most (BPF_MAXINSNS). */
export const MOST_INSTRUCTIONS = 4096;

// Offsets from the Ethernet header on. The kernel takes VLAN tags off before the filter sees the packet.
const ETHERTYPE = 12;
const IP = 14;
const IP4_FRAGMENT = IP + 6;
const IP4_PROTOCOL = IP + 9;
const IP4_SOURCE = IP + 12;
const IP4_DESTINATION = IP + 16;
const IP6_NEXT_HEADER = IP + 6;
const IP6_SOURCE = IP + 8;
const IP6_DESTINATION = IP + 24;
const IP6_HEADER = 40;

// Ancillary data of a packet (SKF_AD_OFF and what is behind it).
const PACKET_TYPE = 0xfffff000 + 4;
const VLAN_TAG_PRESENT = 0xfffff000 + 48;
const PACKET_HOST = 0;

// Codes of <linux/bpf_common.h>.
const LOAD_WORD = 0x20;
const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
/** A = the half word at X + k. */
const LOAD_HALF_INDEXED = 0x48;
/** X = 4 * (the byte at k & 15): bytes of an IPv4 header. */
const LOAD_X_HEADER = 0xb1;
const AND = 0x54;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_SET = 0x45;
const RETURN = 0x06;
/** Bytes of an accepted packet that are passed on: all of them. */
const ALL = 0x40000;

type Instruction = readonly [code: number, k: number, jumpTrue?: number, jumpFalse?: number];

const accept: Instruction = [RETURN, ALL];
const reject: Instruction = [RETURN, 0];

/**
 * The classic BPF program (SO_ATTACH_FILTER) that accepts what is wanted and nothing else: packets sent to this host, not
 * tagged. Of a fragmented IPv4 datagram from an address of `returns`, later fragments, which have no ports, are accepted
 * too.
 * @throws RangeError if it needs more than MOST_INSTRUCTIONS
 */
export function buildFilter({ prefixes, returns }: Wanted): Uint8Array {
  const destinations = [...prefixes].map(parsePrefix);
  const groups = groupReturns(returns);
  const program = [
    [LOAD_WORD, PACKET_TYPE],
    ...unless(PACKET_HOST, [reject]),
    [LOAD_WORD, VLAN_TAG_PRESENT],
    ...unless(0, [reject]),
    [LOAD_HALF, ETHERTYPE],
    ...when(0x0800, [
      ...destinations.filter(({ family }) => family === 4).flatMap((prefix) => inPrefix(IP4_DESTINATION, prefix)),
      ...groups.filter(({ family }) => family === 4).flatMap(returns4),
      reject,
    ]),
    ...when(0x86dd, [
      ...destinations.filter(({ family }) => family === 6).flatMap((prefix) => inPrefix(IP6_DESTINATION, prefix)),
      ...groups.filter(({ family }) => family === 6).flatMap(returns6),
      reject,
    ]),
    reject,
  ] as Instruction[];
  if (program.length > MOST_INSTRUCTIONS) {
    throw new RangeError(`a packet filter of ${program.length} instructions; the kernel takes ${MOST_INSTRUCTIONS}`);
  }
  return encode(program);
}

/** Runs `body` if A is `k`; else goes on behind it. Conditional jumps reach 255 instructions, so a long one jumps twice. */
function when(k: number, body: readonly Instruction[]): Instruction[] {
  return [[JUMP_EQUAL, k, 1, 0], [JUMP, body.length], ...body];
}

/** Runs `body` unless A is `k`. */
function unless(k: number, body: readonly Instruction[]): Instruction[] {
  return [[JUMP_EQUAL, k, body.length, 0], ...body];
}

/** Accepts if the address at `offset` is in the prefix. */
function inPrefix(offset: number, { bytes, length }: Prefix): Instruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = Math.ceil(length / 32);
  let body: Instruction[] = [accept];
  for (let i = words - 1; i >= 0; i--) {
    const bits = Math.min(32, length - i * 32);
    const test: Instruction[] = [[LOAD_WORD, offset + i * 4]];
    if (bits < 32) test.push([AND, (0xffffffff << (32 - bits)) >>> 0]);
    body = [...test, [JUMP_EQUAL, view.getUint32(i * 4), 0, body.length], ...body];
  }
  return body;
}

interface Group {
  readonly family: 4 | 6;
  readonly protocol: number;
  readonly port: number;
  readonly addresses: Prefix[];
}

/** Addresses of entries that were seen before: a filter is built anew for each entry that comes. */
const parsed = new WeakMap<Return, Prefix>();

/** Those of one protocol and port together, so that the address is all that is compared for each. */
function groupReturns(returns: Iterable<Return>): Group[] {
  const groups = new Map<string, Group>();
  for (const entry of returns) {
    const { protocol, port } = entry;
    const prefix = parsed.get(entry) ?? parsePrefix(entry.address);
    parsed.set(entry, prefix);
    const key = `${prefix.family} ${protocol} ${port}`;
    const group = groups.get(key) ?? { family: prefix.family, protocol, port, addresses: [] };
    groups.set(key, group);
    group.addresses.push(prefix);
  }
  return [...groups.values()];
}

function returns4({ protocol, port, addresses }: Group): Instruction[] {
  // The address stays in A from one comparison to the next.
  const compare: Instruction[] = addresses.flatMap(({ bytes }): Instruction[] => [
    [JUMP_EQUAL, new DataView(bytes.buffer).getUint32(0), 0, 1],
    accept,
  ]);
  const body: Instruction[] = [[LOAD_WORD, IP4_SOURCE], ...compare];
  const test: Instruction[] = [
    [LOAD_HALF, IP4_FRAGMENT],
    [JUMP_SET, 0x1fff, 4, 0],
    [LOAD_X_HEADER, IP],
    [LOAD_HALF_INDEXED, IP],
    [JUMP_EQUAL, port, 1, 0],
    [JUMP, body.length],
  ];
  return [[LOAD_BYTE, IP4_PROTOCOL], ...when(protocol, [...test, ...body])];
}

function returns6({ protocol, port, addresses }: Group): Instruction[] {
  const compare = addresses.flatMap((prefix) => inPrefix(IP6_SOURCE, prefix));
  return [[LOAD_BYTE, IP6_NEXT_HEADER], ...when(protocol, [[LOAD_HALF, IP + IP6_HEADER], ...when(port, compare)])];
}

/** struct sock_filter: u16 code, u8 jump if true, u8 jump if false, u32 k; in the machine's order. */
function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, [code, k, jumpTrue = 0, jumpFalse = 0]] of program.entries()) {
    view.setUint16(i * 8, code, true);
    bytes[i * 8 + 2] = jumpTrue;
    bytes[i * 8 + 3] = jumpFalse;
    view.setUint32(i * 8 + 4, k, true);
  }
  return bytes;
}

/** A filter that accepts nothing. */
export const NOTHING = buildFilter({ prefixes: [], returns: [] });
