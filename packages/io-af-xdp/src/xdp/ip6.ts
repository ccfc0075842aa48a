import type { BpfAssembler } from '../bpf-assembler.ts';
import {
  ETHERNET,
  forget,
  ICMP_HEADER,
  ICMP6,
  lookup,
  need,
  remember,
  STACK,
  switches,
  TCP,
  UDP,
  unlessOn,
} from './common.ts';
import { NAT6_BIT, PORTS6_BIT, type SteeringMaps, TUNNELS6_BIT } from './maps.ts';

// Offsets in an IPv6 header (RFC 8200).
const HEADER = 40;
const NEXT_HEADER = 6;
const SOURCE = 8;
const DESTINATION = 24;

// Extension headers.
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
/** Of the 16 bits of a fragment header that say it, as a little-endian load gives them. */
const FRAGMENT_OFFSET = 0xf8ff;
const MORE_FRAGMENTS = 0x0100;
/** Extension headers that are walked to find the ports (the graph walks more; such traffic rarely has one). */
const MOST_EXTENSIONS = 4;

/** ICMPv6 errors are types 1 to 4 (RFC 4443): unreachable, too big, time exceeded, parameter problem. */
const LAST_ERROR = 4;

// Keys on the stack.
const FLOW_PORT = STACK.flow + 16;
const FLOW_PROTOCOL = STACK.flow + 18;
const PORT_PROTOCOL = STACK.port + 2;

/** Steers an IPv6 packet, from label `ip6` on, as ip4() does. r9 is the header behind the extension headers. */
export function ip6(code: BpfAssembler, maps: SteeringMaps, interfaceIndex: number): void {
  need(code.label('ip6'), 'r7', ETHERNET + HEADER).storeConstant('u32', 'r10', STACK.vip, 128);
  copyAddress(code, 'r7', ETHERNET + DESTINATION, STACK.destination);
  lookup(code, maps.vips6, STACK.vip).jumpIf('r0', '!=', 0, 'redirect');
  switches(code, maps.switches, interfaceIndex, NAT6_BIT | PORTS6_BIT | TUNNELS6_BIT, 'ip6 no VIP');
  code.label('ip6 no VIP');
  copyAddress(code, 'r7', ETHERNET + SOURCE, STACK.flow);
  code
    .storeConstant('u32', 'r10', FLOW_PORT, 0)
    .storeConstant('u32', 'r10', STACK.port, 6 << 24) // the family
    .storeConstant('u32', 'r10', STACK.more, 0)
    .load('u8', 'r2', 'r7', ETHERNET + NEXT_HEADER)
    .move('r9', 'r7')
    .add('r9', ETHERNET + HEADER);
  walk(code, 'r9', {
    name: 'ip6',
    ports: 'ip6 ports',
    icmp: 'ip6 error',
    other: 'pass',
    laterFragment: 'ip6 later fragment',
    keepFragment: true,
  });
  code.label('ip6 ports').store('u8', 'r10', FLOW_PROTOCOL, 'r2').store('u8', 'r10', PORT_PROTOCOL, 'r2');
  need(code, 'r9', 4)
    .load('u16', 'r1', 'r9', 0)
    .store('u16', 'r10', FLOW_PORT, 'r1')
    .load('u16', 'r1', 'r9', 2)
    .store('u16', 'r10', STACK.port, 'r1')
    .jump('ip6 flow');
  error(code, maps);
  flow(code, maps);
  laterFragment(code, maps);
}

interface Walk {
  /** Distinguishes labels. */
  readonly name: string;
  /** Where to go on with TCP and UDP, ICMPv6, another protocol, a later fragment. */
  readonly ports: string;
  readonly icmp: string;
  readonly other: string;
  readonly laterFragment: string;
  /** Whether a fragment header is kept on the stack. */
  readonly keepFragment: boolean;
}

/** r2 is the protocol of the header at `at`. Moves both past extension headers. Loses r1, r4, r5. */
function walk(
  code: BpfAssembler,
  at: 'r3' | 'r9',
  { name, ports, icmp, other, laterFragment, keepFragment }: Walk,
): void {
  for (let i = 0; ; i++) {
    code.jumpIf('r2', '==', TCP, ports).jumpIf('r2', '==', UDP, ports).jumpIf('r2', '==', ICMP6, icmp);
    const last = i === MOST_EXTENSIONS;
    const [fragment, options, next] = ['fragment', 'options', 'next'].map((part) => `${name} ${part} ${i}`) as [
      string,
      string,
      string,
    ];
    code
      .jumpIf('r2', '==', FRAGMENT, last ? 'pass' : fragment)
      .jumpIf('r2', '==', HOP_BY_HOP, last ? 'pass' : options)
      .jumpIf('r2', '==', DESTINATION_OPTIONS, last ? 'pass' : options)
      .jumpIf('r2', '==', ROUTING, last ? 'pass' : options)
      .jump(other);
    if (last) return;
    need(code.label(fragment), at, 8).load('u16', 'r1', at, 2);
    if (keepFragment) {
      code
        .load('u32', 'r5', at, 4)
        .store('u32', 'r10', STACK.identification, 'r5')
        .move('r5', 'r1')
        .and('r5', MORE_FRAGMENTS)
        .store('u32', 'r10', STACK.more, 'r5');
    }
    code
      .and('r1', FRAGMENT_OFFSET)
      .jumpIf('r1', '!=', 0, laterFragment)
      .load('u8', 'r2', at, 0)
      .move('r5', 0)
      .jump(next);
    need(code.label(options), at, 8).load('u8', 'r2', at, 0).load('u8', 'r5', at, 1);
    code.label(next).add('r5', 1).shiftLeft('r5', 3).add(at, 'r5');
  }
}

/** An ICMPv6 message. The packet that an error is about starts at r9 + ICMP_HEADER. */
function error(code: BpfAssembler, maps: SteeringMaps): void {
  const about = (offset: number): number => ICMP_HEADER + offset;
  code.label('ip6 error').load('u32', 'r1', 'r10', STACK.more).jumpIf('r1', '!=', 0, 'pass');
  need(code, 'r9', ICMP_HEADER + HEADER)
    .load('u8', 'r1', 'r9', 0)
    .jumpIf('r1', '==', 0, 'pass')
    .jumpIf('r1', '>', LAST_ERROR, 'pass')
    .load('u8', 'r1', 'r9', about(0))
    .and('r1', 0xf0)
    .jumpIf('r1', '!=', 0x60, 'pass')
    .load('u8', 'r2', 'r9', about(NEXT_HEADER))
    .move('r3', 'r9')
    .add('r3', about(HEADER));
  walk(code, 'r3', {
    name: 'ip6 error about',
    ports: 'ip6 error ports',
    icmp: 'pass',
    other: 'ip6 error, tunnel',
    laterFragment: 'pass',
    keepFragment: false,
  });
  unlessOn(code.label('ip6 error, tunnel'), TUNNELS6_BIT, 'pass');
  unlessToSender(code, 'pass');
  lookup(code, maps.tunnels6, STACK.destination).jumpIf('r0', '!=', 0, 'redirect').jump('pass');

  code.label('ip6 error ports').store('u8', 'r10', FLOW_PROTOCOL, 'r2').store('u8', 'r10', PORT_PROTOCOL, 'r2');
  need(code, 'r3', 4).load('u16', 'r1', 'r3', 2).store('u16', 'r10', FLOW_PORT, 'r1');
  copyAddress(code, 'r9', about(DESTINATION), STACK.flow);
  unlessToSender(code, 'ip6 nat');
  code.load('u16', 'r1', 'r3', 0).store('u16', 'r10', STACK.port, 'r1');
}

/** Goes on at `not` unless the packet that the error at r9 is about was sent from the error's destination. */
function unlessToSender(code: BpfAssembler, not: string): void {
  for (let i = 0; i < 16; i += 4) {
    code
      .load('u32', 'r1', 'r9', ICMP_HEADER + SOURCE + i)
      .load('u32', 'r2', 'r7', ETHERNET + DESTINATION + i)
      .jumpIf('r1', '!=', 'r2', not);
  }
}

/** The keys are on the stack. */
function flow(code: BpfAssembler, maps: SteeringMaps): void {
  unlessOn(code.label('ip6 flow'), PORTS6_BIT, 'ip6 nat');
  lookup(code, maps.locals6, STACK.destination).jumpIf('r0', '==', 0, 'ip6 nat');
  lookup(code, maps.ports, STACK.port).jumpIf('r0', '!=', 0, 'ip6 node port');
  unlessFirstFragment(code, 'ip6 nat');
  forget(code, maps.fragments6, STACK.fragment).jump('ip6 nat');
  code.label('ip6 node port');
  unlessFirstFragment(code, 'redirect');
  remember(code, maps.fragments6, STACK.fragment).jump('redirect');

  unlessOn(code.label('ip6 nat'), NAT6_BIT, 'pass');
  lookup(code, maps.returns6, STACK.flow).jumpIf('r0', '!=', 0, 'redirect').jump('pass');
}

function laterFragment(code: BpfAssembler, maps: SteeringMaps): void {
  unlessOn(code.label('ip6 later fragment'), PORTS6_BIT, 'ip6 later fragment, nat');
  fragmentKey(code);
  lookup(code, maps.fragments6, STACK.fragment).jumpIf('r0', '!=', 0, 'redirect');
  unlessOn(code.label('ip6 later fragment, nat'), NAT6_BIT, 'pass');
  lookup(code, maps.servers6, STACK.flow).jumpIf('r0', '!=', 0, 'redirect').jump('pass');
}

/** Makes the key of a fragmented datagram, or goes on at `not` if the packet is none. */
function unlessFirstFragment(code: BpfAssembler, not: string): void {
  code.load('u32', 'r1', 'r10', STACK.more).jumpIf('r1', '==', 0, not);
  fragmentKey(code);
}

function fragmentKey(code: BpfAssembler): void {
  copyAddress(code, 'r7', ETHERNET + SOURCE, STACK.fragment);
  copyAddress(code, 'r7', ETHERNET + DESTINATION, STACK.fragment + 16);
  code.load('u32', 'r1', 'r10', STACK.identification).store('u32', 'r10', STACK.fragment + 32, 'r1');
}

/** Copies an address from the frame to the stack. The stack wants aligned stores: 32 bits at a time. Loses r1. */
function copyAddress(code: BpfAssembler, from: 'r7' | 'r9', offset: number, to: number): void {
  for (let i = 0; i < 16; i += 4) code.load('u32', 'r1', from, offset + i).store('u32', 'r10', to + i, 'r1');
}
