import type { BpfAssembler } from '../bpf-assembler.ts';
import {
  ETHERNET,
  forget,
  ICMP,
  ICMP_HEADER,
  lookup,
  need,
  remember,
  STACK,
  switches,
  TCP,
  UDP,
  unlessOn,
} from './common.ts';
import { NAT4_BIT, PORTS4_BIT, type SteeringMaps, TUNNELS4_BIT } from './maps.ts';

// Offsets in an IPv4 header (RFC 791). 16-bit constants are as a little-endian load gives them.
const HEADER = 20;
const VERSION_IHL = 0;
const IDENTIFICATION = 4;
const FRAGMENT = 6;
const MORE_FRAGMENTS = 0x0020;
const FRAGMENT_OFFSET = 0xff1f;
const PROTOCOL = 9;
const SOURCE = 12;
const DESTINATION = 16;

// ICMP errors (RFC 792).
const UNREACHABLE = 3;
const TIME_EXCEEDED = 11;
const PARAMETER_PROBLEM = 12;

// Keys on the stack.
const FLOW_PORT = STACK.flow + 4;
const FLOW_PROTOCOL = STACK.flow + 6;
const PORT_PROTOCOL = STACK.port + 2;

/**
 * Steers an IPv4 packet, from label `ip4` on. r9 is the header behind that of IP.
 *
 * What names a flow of ours is brought into one form: the key of a node port (destination port; in an ICMP error the source
 * port of the packet that it is about, if the error goes to the sender of that), and the key of return traffic (source address and port; in an error the
 * destination of the packet that it is about).
 */
export function ip4(code: BpfAssembler, maps: SteeringMaps, interfaceIndex: number): void {
  need(code.label('ip4'), 'r7', ETHERNET + HEADER)
    .storeConstant('u32', 'r10', STACK.vip, 32)
    .load('u32', 'r1', 'r7', ETHERNET + DESTINATION)
    .store('u32', 'r10', STACK.destination, 'r1');
  lookup(code, maps.vips4, STACK.vip).jumpIf('r0', '!=', 0, 'redirect');
  switches(code, maps.switches, interfaceIndex, NAT4_BIT | PORTS4_BIT | TUNNELS4_BIT, 'ip4 no VIP');
  code
    .label('ip4 no VIP')
    .load('u8', 'r2', 'r7', ETHERNET + VERSION_IHL)
    .and('r2', 15)
    .shiftLeft('r2', 2)
    .jumpIf('r2', '<', HEADER, 'pass')
    .move('r9', 'r7')
    .add('r9', 'r2')
    .add('r9', ETHERNET)
    .load('u32', 'r1', 'r7', ETHERNET + SOURCE)
    .store('u32', 'r10', STACK.flow, 'r1')
    .storeConstant('u32', 'r10', FLOW_PORT, 0)
    .storeConstant('u32', 'r10', STACK.port, 4 << 24) // the family
    .load('u16', 'r1', 'r7', ETHERNET + FRAGMENT)
    .and('r1', FRAGMENT_OFFSET)
    .jumpIf('r1', '!=', 0, 'ip4 later fragment')
    .load('u8', 'r1', 'r7', ETHERNET + PROTOCOL)
    .jumpIf('r1', '==', TCP, 'ip4 ports')
    .jumpIf('r1', '==', UDP, 'ip4 ports')
    .jumpIf('r1', '==', ICMP, 'ip4 error')
    .jump('pass')
    .label('ip4 ports')
    .store('u8', 'r10', FLOW_PROTOCOL, 'r1')
    .store('u8', 'r10', PORT_PROTOCOL, 'r1');
  need(code, 'r9', 4)
    .load('u16', 'r1', 'r9', 0)
    .store('u16', 'r10', FLOW_PORT, 'r1')
    .load('u16', 'r1', 'r9', 2)
    .store('u16', 'r10', STACK.port, 'r1')
    .jump('ip4 flow');
  error(code, maps);
  flow(code, maps);
  laterFragment(code, maps);
}

/** An ICMP message. The packet that an error is about starts at r9 + ICMP_HEADER. */
function error(code: BpfAssembler, maps: SteeringMaps): void {
  const about = (offset: number): number => ICMP_HEADER + offset;
  code
    .label('ip4 error')
    .load('u16', 'r1', 'r7', ETHERNET + FRAGMENT)
    .and('r1', MORE_FRAGMENTS)
    .jumpIf('r1', '!=', 0, 'pass');
  need(code, 'r9', ICMP_HEADER + HEADER)
    .load('u8', 'r1', 'r9', 0)
    .jumpIf('r1', '==', UNREACHABLE, 'ip4 error about')
    .jumpIf('r1', '==', TIME_EXCEEDED, 'ip4 error about')
    .jumpIf('r1', '==', PARAMETER_PROBLEM, 'ip4 error about')
    .jump('pass')
    .label('ip4 error about')
    .load('u8', 'r1', 'r9', about(VERSION_IHL))
    .move('r2', 'r1')
    .and('r1', 0xf0)
    .jumpIf('r1', '!=', 0x40, 'pass')
    .and('r2', 15)
    .shiftLeft('r2', 2)
    .jumpIf('r2', '<', HEADER, 'pass')
    .load('u16', 'r1', 'r9', about(FRAGMENT))
    .and('r1', FRAGMENT_OFFSET)
    .jumpIf('r1', '!=', 0, 'pass')
    .load('u8', 'r1', 'r9', about(PROTOCOL))
    .jumpIf('r1', '==', TCP, 'ip4 error ports')
    .jumpIf('r1', '==', UDP, 'ip4 error ports')
    .jumpIf('r1', '==', ICMP, 'pass');
  unlessOn(code, TUNNELS4_BIT, 'pass')
    .load('u32', 'r1', 'r9', about(SOURCE))
    .load('u32', 'r3', 'r7', ETHERNET + DESTINATION)
    .jumpIf('r1', '!=', 'r3', 'pass');
  lookup(code, maps.tunnels4, STACK.destination).jumpIf('r0', '!=', 0, 'redirect').jump('pass');
  code
    .label('ip4 error ports')
    .store('u8', 'r10', FLOW_PROTOCOL, 'r1')
    .store('u8', 'r10', PORT_PROTOCOL, 'r1')
    .move('r3', 'r9')
    .add('r3', 'r2');
  need(code, 'r3', ICMP_HEADER + 4)
    .load('u32', 'r1', 'r9', about(DESTINATION))
    .store('u32', 'r10', STACK.flow, 'r1')
    .load('u16', 'r1', 'r3', ICMP_HEADER + 2)
    .store('u16', 'r10', FLOW_PORT, 'r1')
    .load('u32', 'r1', 'r9', about(SOURCE))
    .load('u32', 'r2', 'r7', ETHERNET + DESTINATION)
    .jumpIf('r1', '!=', 'r2', 'ip4 nat')
    .load('u16', 'r1', 'r3', ICMP_HEADER)
    .store('u16', 'r10', STACK.port, 'r1');
}

/** The keys are on the stack. */
function flow(code: BpfAssembler, maps: SteeringMaps): void {
  unlessOn(code.label('ip4 flow'), PORTS4_BIT, 'ip4 nat');
  lookup(code, maps.locals4, STACK.destination).jumpIf('r0', '==', 0, 'ip4 nat');
  lookup(code, maps.ports, STACK.port).jumpIf('r0', '!=', 0, 'ip4 node port');
  // Datagrams may have the identification of an earlier one.
  unlessFirstFragment(code, 'ip4 nat');
  forget(code, maps.fragments4, STACK.fragment).jump('ip4 nat');
  code.label('ip4 node port');
  unlessFirstFragment(code, 'redirect');
  remember(code, maps.fragments4, STACK.fragment).jump('redirect');

  unlessOn(code.label('ip4 nat'), NAT4_BIT, 'pass');
  lookup(code, maps.returns4, STACK.flow).jumpIf('r0', '!=', 0, 'redirect').jump('pass');
}

function laterFragment(code: BpfAssembler, maps: SteeringMaps): void {
  unlessOn(code.label('ip4 later fragment'), PORTS4_BIT, 'ip4 later fragment, nat');
  fragmentKey(code);
  lookup(code, maps.fragments4, STACK.fragment).jumpIf('r0', '!=', 0, 'redirect');
  unlessOn(code.label('ip4 later fragment, nat'), NAT4_BIT, 'pass');
  lookup(code, maps.servers4, STACK.flow).jumpIf('r0', '!=', 0, 'redirect').jump('pass');
}

/** Makes the key of a fragmented datagram, or goes on at `not` if the packet is none. */
function unlessFirstFragment(code: BpfAssembler, not: string): void {
  code
    .load('u16', 'r1', 'r7', ETHERNET + FRAGMENT)
    .and('r1', MORE_FRAGMENTS)
    .jumpIf('r1', '==', 0, not);
  fragmentKey(code);
}

function fragmentKey(code: BpfAssembler): void {
  code
    .load('u32', 'r1', 'r7', ETHERNET + SOURCE)
    .store('u32', 'r10', STACK.fragment, 'r1')
    .load('u32', 'r1', 'r7', ETHERNET + DESTINATION)
    .store('u32', 'r10', STACK.fragment + 4, 'r1')
    .load('u16', 'r1', 'r7', ETHERNET + IDENTIFICATION)
    .store('u16', 'r10', STACK.fragment + 8, 'r1')
    .load('u8', 'r1', 'r7', ETHERNET + PROTOCOL)
    .store('u16', 'r10', STACK.fragment + 10, 'r1');
}
