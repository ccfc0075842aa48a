import { BpfAssembler } from './bpf-assembler.ts';

/** What an XDP program answers. */
export const XDP_PASS = 2;
export const XDP_REDIRECT = 4;

// Helpers of the kernel, from enum bpf_func_id.
const MAP_LOOKUP = 1;
const XDP_ADJUST_HEAD = 44;
const REDIRECT_MAP = 51;

// struct xdp_md
const CONTEXT_DATA = 0;
const CONTEXT_DATA_END = 4;
const CONTEXT_QUEUE = 16;

// Where things are in an Ethernet frame without a VLAN tag. 16-bit constants are as a little-endian load gives them.
const ETHERNET = 14;
const ETHERTYPE = 12;
const ETHERTYPE_IP4 = 0x0008;
const ETHERTYPE_IP6 = 0xdd86;
const IP4_HEADER = 20;
const IP4_VERSION_IHL = ETHERNET;
const IP4_FRAGMENT = ETHERNET + 6;
const IP4_FRAGMENT_OFFSET_BITS = 0xff1f;
const IP4_PROTOCOL = ETHERNET + 9;
const IP4_SOURCE = ETHERNET + 12;
const IP4_DESTINATION = ETHERNET + 16;
const IP6_HEADER = 40;
const IP6_NEXT_HEADER = ETHERNET + 6;
const IP6_SOURCE = ETHERNET + 8;
const IP6_DESTINATION = ETHERNET + 24;
const IP6_FRAGMENT_OFFSET_BITS = 0xf8ff;

const TCP = 6;
const UDP = 17;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
/** IPv6 extension headers that are walked to find the ports (the graph walks more; a reply rarely has one). */
const MOST_EXTENSIONS = 4;

/** Bits of an interface's word in {@link SteeringMaps.nat}. */
export const NAT4_BIT = 1;
export const NAT6_BIT = 2;

/** Bytes of the keys; addresses and ports in network order, as they are in packets. */
export const KEY_BYTES = {
  /** LPM: u32 prefix length, address. */
  vips4: 8,
  vips6: 20,
  /** Address, u16 port, u8 protocol, u8 0. */
  returns4: 8,
  returns6: 20,
  /** Address. */
  servers4: 4,
  servers6: 16,
} as const;

/** File descriptors of the maps that all interfaces share. Their values (u32) count how often an element was added. */
export interface SteeringMaps {
  readonly vips4: number;
  readonly vips6: number;
  readonly returns4: number;
  readonly returns6: number;
  readonly servers4: number;
  readonly servers6: number;
  /** Array by interface index: u32 of NAT bits. */
  readonly nat: number;
}

/** Punted frames in generic mode: they pass the XDP program again, and must be known then. See {@link puntPrefix}. */
export const PUNT_PREFIX_BYTES = ETHERNET + 8;
/** EtherType for local experiments, IEEE 802. */
const ETHERTYPE_LOCAL = 0xb588;

export interface XdpProgramOptions {
  readonly maps: SteeringMaps;
  /** XSKMAP of the interface, by queue. */
  readonly sockets: number;
  /** Place of the interface in the array of NAT switches. */
  readonly interfaceIndex: number;
  /** For generic mode: the number that punted frames carry. */
  readonly puntCookie?: bigint;
}

/**
 * The XDP program of an interface: redirects what is lbd's to the AF_XDP socket of the receive queue, and passes the rest
 * to the kernel.
 *
 * - IPv4 or IPv6 without VLAN tag, to an address in a VIP prefix;
 * - on interfaces where NAT is on: TCP and UDP from a server's address and port, and all later fragments from a server's
 *   address, since they have no ports to look at.
 *
 * r6 is the context, r7 the frame, r8 its end. The stack has keys: the VIP's at -24, the NAT switch's at -28, the return's
 * at -48.
 */
export function xdpProgram({ maps, sockets, interfaceIndex, puntCookie }: XdpProgramOptions): Uint8Array {
  const code = new BpfAssembler();
  code
    .move('r6', 'r1')
    .load('u32', 'r7', 'r6', CONTEXT_DATA)
    .load('u32', 'r8', 'r6', CONTEXT_DATA_END)
    .move('r2', 'r7')
    .add('r2', ETHERNET)
    .jumpIf('r2', '>', 'r8', 'pass')
    .load('u16', 'r3', 'r7', ETHERTYPE)
    .jumpIf('r3', '==', ETHERTYPE_IP4, 'ip4')
    .jumpIf('r3', '==', ETHERTYPE_IP6, 'ip6');
  if (puntCookie !== undefined) unwrapPunted(code, puntCookie);
  code.jump('pass');
  ip4(code, maps, interfaceIndex);
  ip6(code, maps, interfaceIndex);
  return code
    .label('redirect')
    .map('r1', sockets)
    .load('u32', 'r2', 'r6', CONTEXT_QUEUE)
    .move('r3', XDP_PASS) // where the queue has no socket
    .call(REDIRECT_MAP)
    .exit()
    .label('pass')
    .move('r0', XDP_PASS)
    .exit()
    .assemble();
}

function ip4(code: BpfAssembler, maps: SteeringMaps, interfaceIndex: number): void {
  code
    .label('ip4')
    .move('r2', 'r7')
    .add('r2', ETHERNET + IP4_HEADER)
    .jumpIf('r2', '>', 'r8', 'pass')
    .storeConstant('u32', 'r10', -24, 32)
    .load('u32', 'r1', 'r7', IP4_DESTINATION)
    .store('u32', 'r10', -20, 'r1');
  lookup(code, maps.vips4, -24).jumpIf('r0', '!=', 0, 'redirect');
  natSwitch(code, maps.nat, interfaceIndex, NAT4_BIT, 'ip4 nat');
  code
    .label('ip4 nat')
    .load('u32', 'r1', 'r7', IP4_SOURCE)
    .store('u32', 'r10', -48, 'r1')
    .load('u16', 'r1', 'r7', IP4_FRAGMENT)
    .and('r1', IP4_FRAGMENT_OFFSET_BITS)
    .jumpIf('r1', '!=', 0, 'ip4 later fragment')
    .load('u8', 'r1', 'r7', IP4_PROTOCOL)
    .store('u8', 'r10', -42, 'r1')
    .jumpIf('r1', '==', TCP, 'ip4 ports')
    .jumpIf('r1', '==', UDP, 'ip4 ports')
    .jump('pass')
    .label('ip4 ports')
    .load('u8', 'r2', 'r7', IP4_VERSION_IHL)
    .and('r2', 15)
    .shiftLeft('r2', 2)
    .jumpIf('r2', '<', IP4_HEADER, 'pass')
    .move('r3', 'r7')
    .add('r3', 'r2')
    .move('r4', 'r3')
    .add('r4', ETHERNET + 4)
    .jumpIf('r4', '>', 'r8', 'pass')
    .load('u16', 'r1', 'r3', ETHERNET)
    .store('u16', 'r10', -44, 'r1')
    .storeConstant('u8', 'r10', -41, 0);
  lookup(code, maps.returns4, -48).jumpIf('r0', '!=', 0, 'redirect').jump('pass').label('ip4 later fragment');
  lookup(code, maps.servers4, -48).jumpIf('r0', '!=', 0, 'redirect').jump('pass');
}

function ip6(code: BpfAssembler, maps: SteeringMaps, interfaceIndex: number): void {
  code
    .label('ip6')
    .move('r2', 'r7')
    .add('r2', ETHERNET + IP6_HEADER)
    .jumpIf('r2', '>', 'r8', 'pass')
    .storeConstant('u32', 'r10', -24, 128);
  copyAddress6(code, IP6_DESTINATION, -20);
  lookup(code, maps.vips6, -24).jumpIf('r0', '!=', 0, 'redirect');
  natSwitch(code, maps.nat, interfaceIndex, NAT6_BIT, 'ip6 nat');
  code.label('ip6 nat');
  copyAddress6(code, IP6_SOURCE, -48);
  // r2 is the protocol of the header at r3
  code
    .load('u8', 'r2', 'r7', IP6_NEXT_HEADER)
    .move('r3', 'r7')
    .add('r3', ETHERNET + IP6_HEADER);
  for (let i = 0; i < MOST_EXTENSIONS; i++) ip6Extension(code, i);
  code
    .jumpIf('r2', '==', TCP, 'ip6 ports')
    .jumpIf('r2', '==', UDP, 'ip6 ports')
    .jump('pass')
    .label('ip6 ports')
    .move('r4', 'r3')
    .add('r4', 4)
    .jumpIf('r4', '>', 'r8', 'pass')
    .load('u16', 'r1', 'r3', 0)
    .store('u16', 'r10', -32, 'r1')
    .store('u8', 'r10', -30, 'r2')
    .storeConstant('u8', 'r10', -29, 0);
  lookup(code, maps.returns6, -48).jumpIf('r0', '!=', 0, 'redirect').jump('pass').label('ip6 later fragment');
  lookup(code, maps.servers6, -48).jumpIf('r0', '!=', 0, 'redirect').jump('pass');
}

/** Goes past one extension header (RFC 8200, section 4) if there is one. */
function ip6Extension(code: BpfAssembler, i: number): void {
  code
    .jumpIf('r2', '==', TCP, 'ip6 ports')
    .jumpIf('r2', '==', UDP, 'ip6 ports')
    .move('r4', 'r3')
    .add('r4', 8)
    .jumpIf('r4', '>', 'r8', 'pass')
    .jumpIf('r2', '==', FRAGMENT, `ip6 fragment ${i}`)
    .jumpIf('r2', '==', HOP_BY_HOP, `ip6 options ${i}`)
    .jumpIf('r2', '==', DESTINATION_OPTIONS, `ip6 options ${i}`)
    .jumpIf('r2', '==', ROUTING, `ip6 options ${i}`)
    .jump('pass')
    .label(`ip6 fragment ${i}`)
    .load('u16', 'r1', 'r3', 2)
    .and('r1', IP6_FRAGMENT_OFFSET_BITS)
    .jumpIf('r1', '!=', 0, 'ip6 later fragment')
    .load('u8', 'r2', 'r3', 0)
    .add('r3', 8)
    .jump(`ip6 next ${i}`)
    .label(`ip6 options ${i}`)
    .load('u8', 'r2', 'r3', 0)
    .load('u8', 'r5', 'r3', 1)
    .add('r5', 1)
    .shiftLeft('r5', 3)
    .add('r3', 'r5')
    .label(`ip6 next ${i}`);
}

/**
 * In generic mode a punted frame comes in as if from the wire, so it meets this program once more. It then carries
 * {@link puntPrefix} in front, which is taken off again.
 */
function unwrapPunted(code: BpfAssembler, cookie: bigint): void {
  code
    .jumpIf('r3', '!=', ETHERTYPE_LOCAL, 'pass')
    .move('r2', 'r7')
    .add('r2', PUNT_PREFIX_BYTES)
    .jumpIf('r2', '>', 'r8', 'pass')
    .load('u64', 'r4', 'r7', ETHERNET)
    .constant('r5', cookie)
    .jumpIf('r4', '!=', 'r5', 'pass')
    .move('r1', 'r6')
    .move('r2', PUNT_PREFIX_BYTES)
    .call(XDP_ADJUST_HEAD);
}

/** What goes in front of a punted frame in generic mode: its MAC addresses, an EtherType for experiments, the cookie. */
export function puntPrefix(frame: Uint8Array, cookie: bigint): Uint8Array {
  const prefix = new Uint8Array(PUNT_PREFIX_BYTES);
  prefix.set(frame.subarray(0, ETHERTYPE));
  const view = new DataView(prefix.buffer);
  view.setUint16(ETHERTYPE, ETHERTYPE_LOCAL, true);
  view.setBigUint64(ETHERNET, cookie, true);
  return prefix;
}

/** The program that passes everything; punted packets are given to the kernel by way of it. */
export function passProgram(): Uint8Array {
  return new BpfAssembler().move('r0', XDP_PASS).exit().assemble();
}

/** r0 = the element of `map` whose key is on the stack, or 0. */
function lookup(code: BpfAssembler, map: number, key: number): BpfAssembler {
  return code.map('r1', map).move('r2', 'r10').add('r2', key).call(MAP_LOOKUP);
}

/** Goes on at `on` if the interface's NAT switch has the bit, else passes the packet. */
function natSwitch(code: BpfAssembler, map: number, interfaceIndex: number, bit: number, on: string): void {
  code.storeConstant('u32', 'r10', -28, interfaceIndex);
  lookup(code, map, -28)
    .jumpIf('r0', '==', 0, 'pass')
    .load('u32', 'r1', 'r0', 0)
    .jumpIf('r1', '&', bit, on)
    .jump('pass');
}

/** Copies an IPv6 address from the frame to the stack. The stack wants aligned stores: 32 bits at a time. */
function copyAddress6(code: BpfAssembler, from: number, to: number): void {
  for (let i = 0; i < 16; i += 4) code.load('u32', 'r1', 'r7', from + i).store('u32', 'r10', to + i, 'r1');
}
