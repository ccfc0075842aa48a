import { BpfAssembler } from './bpf-assembler.ts';
import { ETHERNET } from './xdp/common.ts';
import { ip4 } from './xdp/ip4.ts';
import { ip6 } from './xdp/ip6.ts';
import type { SteeringMaps } from './xdp/maps.ts';

/** What an XDP program answers. */
export const XDP_PASS = 2;
export const XDP_REDIRECT = 4;

// Helpers of the kernel, from enum bpf_func_id.
const XDP_ADJUST_HEAD = 44;
const REDIRECT_MAP = 51;

// struct xdp_md
const CONTEXT_DATA = 0;
const CONTEXT_DATA_END = 4;
const CONTEXT_QUEUE = 16;

const ETHERTYPE = 12;
// As a little-endian load gives them.
const ETHERTYPE_IP4 = 0x0008;
const ETHERTYPE_IP6 = 0xdd86;

/** Punted frames in generic mode: they pass the XDP program again, and must be known then. See {@link puntPrefix}. */
export const PUNT_PREFIX_BYTES = ETHERNET + 8;
/** EtherType for local experiments, IEEE 802. */
const ETHERTYPE_LOCAL = 0xb588;

export interface XdpProgramOptions {
  readonly maps: SteeringMaps;
  /** XSKMAP of the interface, by queue. */
  readonly sockets: number;
  /** Place of the interface in the array of switches. */
  readonly interfaceIndex: number;
  /** For generic mode: the number that punted frames carry. */
  readonly puntCookie?: bigint;
}

/**
 * The XDP program of an interface: redirects what is lbd's to the AF_XDP socket of the receive queue, and passes the rest
 * to the kernel. That is, of IPv4 and IPv6 without VLAN tag:
 *
 * - what goes to an address in a VIP prefix;
 * - TCP and UDP to a node port of a local address, later fragments of such datagrams once their first was seen, and ICMP
 *   errors that tell a local address of a packet that it sent from a node port;
 * - ICMP errors that tell a tunnel source of a packet that it sent, if that was not TCP, UDP or ICMP;
 * - on interfaces where NAT is on: TCP and UDP from a server's address and port, ICMP errors about packets to these, and
 *   all later fragments from a server's address, since they have no ports to look at.
 *
 * r6 is the context, r7 the frame, r8 its end; the stack has keys (STACK).
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
