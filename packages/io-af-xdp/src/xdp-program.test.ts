import { execFileSync } from 'node:child_process';
import { bpfLoadXdp, bpfMapCreate, bpfMapUpdate, bpfTestRun, close } from '@lbd/native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { XdpSteering } from './steering.ts';
import { PUNT_PREFIX_BYTES, puntPrefix, XDP_PASS, XDP_REDIRECT, xdpProgram } from './xdp-program.ts';

// Packets as scapy builds them.
const SERVER = `src='192.168.1.1'`;
const TO = `dst='10.9.9.9'`;
const SERVER6 = `src='fd00::1'`;
const TO6 = `dst='2001:db9:9::9'`;
const REPLY = `TCP(sport=80,dport=4242)`;

/** What an ICMP error is about: a packet that lbd sent to a server, an answer of a node port, a tunnel packet. */
const SENT = `IP(src='10.9.9.9',dst='192.168.1.1')/TCP(sport=4242,dport=80)`;
const SENT6 = `IPv6(src='2001:db9:9::9',dst='fd00::1')/TCP(sport=4242,dport=80)`;
const ANSWER = `IP(src='172.16.0.1',dst='10.9.9.9')/UDP(sport=30053,dport=4242)`;
const ANSWER6 = `IPv6(src='fd00:1::1',dst='2001:db9:9::9')/TCP(sport=30080,dport=4242)`;
const TUNNEL = `IP(src='172.16.0.1',dst='192.168.1.1',proto=47)/Raw(bytes([0,0,8,0]))`;
const TUNNEL6 = `IPv6(src='fd00:1::5',dst='fd00::1',nh=47)/Raw(bytes([0,0,8,0]))`;
const ROUTER = `src='10.9.0.1'`;
const ROUTER6 = `src='2001:db9::1'`;
const OPTIONS = `options=[IPOption(b'\\x07\\x27\\x04'+b'\\0'*36+b'\\0')]`;

/** On every interface. */
const anywhere: Record<string, string> = {
  'IPv4 to a VIP': `Ether()/IP(dst='10.10.2.2')/TCP()`,
  'ICMP to a VIP': `Ether()/IP(dst='10.10.2.2')/ICMP()`,
  'to the first address of a VIP prefix': `Ether()/IP(dst='90.0.0.0')/UDP()`,
  'to the last address of a VIP prefix': `Ether()/IP(dst='90.255.255.255')/UDP()`,
  'IPv6 to a VIP': `Ether()/IPv6(dst='2001:db8::1')/UDP()`,
  'IPv6 into a VIP prefix': `Ether()/IPv6(dst='2001:db8:1:2:3::4')/UDP()`,
  'an IPv4 header alone to a VIP': `Ether()/IP(dst='10.10.2.2',proto=99)`,
  'UDP to a node port': `Ether()/IP(dst='172.16.0.1')/UDP(dport=30053)`,
  'TCP to a node port, of another local address': `Ether()/IP(dst='172.16.0.2')/TCP(dport=30080)`,
  'TCP to a node port, with IP options': `Ether()/IP(dst='172.16.0.2',${OPTIONS})/TCP(dport=30080)`,
  'TCP to a node port, nothing but the ports': `Raw(bytes(Ether()/IP(dst='172.16.0.2')/TCP(dport=30080))[:38])`,
  'TCP to a node port, IPv6': `Ether()/IPv6(dst='fd00:1::1')/TCP(dport=30080)`,
  'TCP to a node port behind extension headers': `Ether()/IPv6(dst='fd00:1::1')/IPv6ExtHdrDestOpt()/IPv6ExtHdrFragment()/TCP(dport=30080)`,
  'unreachable, about a node port': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=3,code=4)/${ANSWER}`,
  'time exceeded, about a node port': `Ether()/IP(${ROUTER},dst='172.16.0.1',${OPTIONS})/ICMP(type=11)/${ANSWER}`,
  'parameter problem, about a node port, cut as short as can be': `Raw(bytes(Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=12)/${ANSWER})[:66])`,
  'too big, about a node port': `Ether()/IPv6(${ROUTER6},dst='fd00:1::1')/ICMPv6PacketTooBig()/${ANSWER6}`,
  'unreachable, about a tunnel': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=3)/${TUNNEL}`,
  'too big, about a tunnel': `Ether()/IPv6(${ROUTER6},dst='fd00:1::5')/ICMPv6PacketTooBig()/${TUNNEL6}`,
};
/** On interfaces where NAT is on. */
const returns: Record<string, string> = {
  'TCP from a server': `Ether()/IP(${SERVER},${TO})/${REPLY}`,
  'UDP from a server': `Ether()/IP(src='192.168.1.2',${TO})/UDP(sport=53)`,
  'TCP from a server, with IP options': `Ether()/IP(${SERVER},${TO},options=[IPOption(b'\\x07\\x27\\x04'+b'\\0'*36+b'\\0')])/${REPLY}`,
  'the first fragment from a server': `Ether()/IP(${SERVER},${TO},flags='MF')/${REPLY}`,
  'a later fragment from a server': `Ether()/IP(${SERVER},${TO},frag=100)/Raw(b'xx')`,
  'the last fragment from a server, offset 1': `Ether()/IP(${SERVER},${TO},frag=1)/Raw(b'xx')`,
  'a later fragment from a server, offset 4096': `Ether()/IP(${SERVER},${TO},frag=4096)/Raw(b'xx')`,
  'TCP from a server, IPv6': `Ether()/IPv6(${SERVER6},${TO6})/${REPLY}`,
  'TCP from a server behind three extension headers': `Ether()/IPv6(${SERVER6},${TO6})/IPv6ExtHdrHopByHop(options=[PadN(optdata=b'x'*20)])/IPv6ExtHdrDestOpt()/IPv6ExtHdrRouting(addresses=['::1'])/${REPLY}`,
  'the first fragment from a server, IPv6': `Ether()/IPv6(${SERVER6},${TO6})/IPv6ExtHdrFragment(m=1)/${REPLY}`,
  'a later fragment from a server, IPv6': `Ether()/IPv6(${SERVER6},${TO6})/IPv6ExtHdrFragment(offset=1)/Raw(b'xxxx')`,
  'unreachable, about a packet to a server': `Ether()/IP(${ROUTER},${TO})/ICMP(type=3,code=4)/${SENT}`,
  'time exceeded, about a packet to a server': `Ether()/IP(${ROUTER},${TO},${OPTIONS})/ICMP(type=11)/${SENT}`,
  'parameter problem, about a packet with options to a server': `Ether()/IP(${ROUTER},${TO})/ICMP(type=12)/IP(src='10.9.9.9',dst='192.168.1.1',${OPTIONS})/TCP(dport=80)`,
  'an error to a server, about a packet that did not come from there': `Ether()/IP(${ROUTER},dst='10.8.8.8')/ICMP(type=11)/${SENT}`,
  ...Object.fromEntries(
    ['DestUnreach', 'PacketTooBig', 'TimeExceeded', 'ParamProblem'].map((error) => [
      `ICMPv6 ${error}, about a packet to a server`,
      `Ether()/IPv6(${ROUTER6},${TO6})/ICMPv6${error}()/${SENT6}`,
    ]),
  ),
  'an ICMPv6 error, extension headers in both, about a packet to a server': `Ether()/IPv6(${ROUTER6},${TO6})${'/IPv6ExtHdrDestOpt()'.repeat(4)}/ICMPv6TimeExceeded()/IPv6(dst='fd00::1')/IPv6ExtHdrHopByHop()/IPv6ExtHdrFragment(m=1)/IPv6ExtHdrRouting(addresses=['::1'])/IPv6ExtHdrDestOpt()/TCP(dport=80)`,
};
const redirected = { ...anywhere, ...returns };
const passed: Record<string, string> = {
  ARP: `Ether()/ARP(pdst='10.10.2.2')`,
  'IPv4 to another address': `Ether()/IP(dst='10.10.2.3')/TCP()`,
  'to just before a VIP prefix': `Ether()/IP(dst='89.255.255.255')/UDP()`,
  'to just after a VIP prefix': `Ether()/IP(dst='91.0.0.0')/UDP()`,
  'from a VIP': `Ether()/IP(src='10.10.2.2',${TO})/TCP()`,
  'a VLAN tag': `Ether()/Dot1Q(vlan=3)/IP(dst='10.10.2.2')/TCP()`,
  'a cut-off IPv4 header': `Raw(bytes(Ether()/IP(dst='10.10.2.2')/TCP())[:33])`,
  'an Ethernet header alone': `Raw(bytes(Ether(type=0x800)))`,
  'IPv6 to another address': `Ether()/IPv6(dst='2001:db9::1')/UDP()`,
  'a cut-off IPv6 header': `Raw(bytes(Ether()/IPv6(dst='2001:db8::1'))[:53])`,
  'neighbour discovery': `Ether()/IPv6(dst='ff02::1:ff00:1')/ICMPv6ND_NS(tgt='2001:db8::1')`,
  'ssh from a server': `Ether()/IP(${SERVER},${TO})/TCP(sport=22)`,
  'a connection of the server': `Ether()/IP(${SERVER},${TO})/TCP(sport=4242,dport=80)`,
  'UDP from a server that serves TCP': `Ether()/IP(${SERVER},${TO})/UDP(sport=80)`,
  'ping of a server': `Ether()/IP(${SERVER},${TO})/ICMP()`,
  'TCP from elsewhere': `Ether()/IP(src='192.168.1.9',${TO})/${REPLY}`,
  'a later fragment from elsewhere': `Ether()/IP(src='192.168.1.9',${TO},frag=100)/Raw(b'xx')`,
  'TCP from a server, cut off in its ports': `Raw(bytes(Ether()/IP(${SERVER},${TO})/${REPLY})[:37])`,
  'TCP from a server, with a header length of 16': `Ether()/IP(${SERVER},${TO},ihl=4)/${REPLY}`,
  'TCP from a server, its options cut off': `Ether()/IP(${SERVER},${TO},ihl=15)/TCP(sport=80)`,
  'TCP from elsewhere, IPv6': `Ether()/IPv6(src='fd00::2',${TO6})/${REPLY}`,
  'another port of a server, IPv6': `Ether()/IPv6(${SERVER6},${TO6})/TCP(sport=81)`,
  'an extension header that runs past the end': `Ether()/IPv6(${SERVER6},${TO6},nh=0)/Raw(bytes([6,255])+b'x'*30)`,
  'five extension headers': `Ether()/IPv6(${SERVER6},${TO6})${'/IPv6ExtHdrDestOpt()'.repeat(5)}/${REPLY}`,
  'ssh to the host': `Ether()/IP(dst='172.16.0.1')/TCP(dport=22)`,
  'ssh to the host, IPv6': `Ether()/IPv6(dst='fd00:1::1')/TCP(dport=22)`,
  'ping of the host': `Ether()/IP(dst='172.16.0.1')/ICMP()/Raw(b'x'*60)`,
  'ping of the host, IPv6': `Ether()/IPv6(dst='fd00:1::1')/ICMPv6EchoRequest(data=b'x'*60)`,
  'neighbour discovery with the host': `Ether()/IPv6(dst='fd00:1::1')/ICMPv6ND_NS(tgt='fd00:1::1')/Raw(b'x'*60)`,
  'what the host gets from a node port elsewhere': `Ether()/IP(dst='172.16.0.1')/UDP(sport=30053)`,
  'UDP to a node port of TCP': `Ether()/IP(dst='172.16.0.1')/UDP(dport=30080)`,
  'an IPv6 node port over IPv4': `Ether()/IP(dst='172.16.0.1')/TCP(dport=30086)`,
  'a node port of another host': `Ether()/IP(dst='172.16.0.3')/TCP(dport=30080)`,
  'a node port, cut off in its ports': `Raw(bytes(Ether()/IP(dst='172.16.0.2')/TCP(dport=30080))[:37])`,
  'a later fragment to the host': `Ether()/IP(dst='172.16.0.1',proto=17,frag=100)/Raw(b'xx')`,
  'a later fragment to the host, IPv6': `Ether()/IPv6(dst='fd00:1::1')/IPv6ExtHdrFragment(nh=6,offset=1)/Raw(b'xxxx')`,
  'unreachable, about ssh of the host': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=3,code=4)/IP(src='172.16.0.1')/TCP(sport=22,dport=30080)`,
  'too big, about ssh of the host': `Ether()/IPv6(${ROUTER6},dst='fd00:1::1')/ICMPv6PacketTooBig()/IPv6(src='fd00:1::1')/TCP(sport=22,dport=30080)`,
  'unreachable, about a node port of another host': `Ether()/IP(${ROUTER},dst='172.16.0.2')/ICMP(type=3)/${ANSWER}`,
  'unreachable, about a ping': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=3)/IP(src='172.16.0.1')/ICMP()`,
  'unreachable, about a later fragment': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=3)/IP(src='172.16.0.1',proto=17,frag=1)/UDP(sport=30053)`,
  'unreachable, about IPv6': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=3)/IP(version=6,src='172.16.0.1')/UDP(sport=30053)`,
  'unreachable, with a header length of 16 inside': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=3)/IP(ihl=4,src='172.16.0.1')/UDP(sport=30053)`,
  'unreachable in fragments': `Ether()/IP(${ROUTER},dst='172.16.0.1',flags='MF')/ICMP(type=3)/${ANSWER}`,
  'unreachable, cut off in the ports': `Raw(bytes(Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=3)/${ANSWER})[:65])`,
  'redirect, about a node port': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=5)/${ANSWER}`,
  'a ping that looks as if it were about a node port': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=8)/${ANSWER}`,
  'an ICMPv6 error of type 5, about a node port': `Ether()/IPv6(${ROUTER6},dst='fd00:1::1')/ICMPv6Unknown(type=5,msgbody=b'1234'+bytes(${ANSWER6}))`,
  'an ICMPv6 error of type 0, about a node port': `Ether()/IPv6(${ROUTER6},dst='fd00:1::1')/ICMPv6Unknown(type=0,msgbody=b'1234'+bytes(${ANSWER6}))`,
  'too big, about IPv4': `Ether()/IPv6(${ROUTER6},dst='fd00:1::1')/ICMPv6PacketTooBig()/Raw(b'\x45'+bytes(${ANSWER6})[1:])`,
  'a tunnel packet to a tunnel source': `Ether()/${TUNNEL.replace('src', 'dst').replace("dst='192.", "src='192.")}`,
  'ping of a tunnel source': `Ether()/IPv6(dst='fd00:1::5')/ICMPv6EchoRequest(data=b'x'*60)`,
  'unreachable, about a tunnel of another sender': `Ether()/IP(${ROUTER},dst='172.16.0.2')/ICMP(type=3)/IP(src='172.16.0.2',proto=47)`,
  'unreachable, about a tunnel that another sent': `Ether()/IP(${ROUTER},dst='172.16.0.1')/ICMP(type=3)/IP(src='172.16.0.2',proto=47)`,
  'too big, about UDP from a tunnel source': `Ether()/IPv6(${ROUTER6},dst='fd00:1::5')/ICMPv6PacketTooBig()/IPv6(src='fd00:1::5')/UDP(sport=4242)`,
  'unreachable, about another port of a server': `Ether()/IP(${ROUTER},${TO})/ICMP(type=3)/IP(dst='192.168.1.1')/TCP(sport=80,dport=22)`,
  'unreachable, about UDP to a server of TCP': `Ether()/IP(${ROUTER},${TO})/ICMP(type=3)/IP(dst='192.168.1.1')/UDP(dport=80)`,
  'unreachable, about an answer of a server': `Ether()/IP(${ROUTER},${SERVER.replace('src', 'dst')})/ICMP(type=3)/IP(${SERVER})/TCP(sport=80)`,
  'an ICMPv6 error with five extension headers inside': `Ether()/IPv6(${ROUTER6},${TO6})/ICMPv6TimeExceeded()/IPv6(dst='fd00::1')${'/IPv6ExtHdrDestOpt()'.repeat(5)}/TCP(dport=80)`,
  'no next header': `Ether()/IPv6(${SERVER6},${TO6},nh=59)/Raw(b'x'*20)`,
};

function build(packets: Record<string, string>): Record<string, Uint8Array> {
  const script = [
    'import sys, json, logging',
    'logging.getLogger("scapy").setLevel(logging.ERROR)',
    'from scapy.all import *',
    'import scapy.layers.l2',
    // with addresses given, scapy does not ask the network for them
    'Ether = lambda **fields: scapy.layers.l2.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", **fields)',
    'json.dump({k: bytes(eval(v)).hex() for k, v in json.load(sys.stdin).items()}, sys.stdout)',
  ].join('\n');
  const out = execFileSync('/usr/bin/python3', ['-c', script], { input: JSON.stringify(packets), encoding: 'utf8' });
  return Object.fromEntries(Object.entries(JSON.parse(out)).map(([k, v]) => [k, Buffer.from(v as string, 'hex')]));
}

const root = process.getuid?.() === 0;

describe.skipIf(!root)(`the XDP program${root ? '' : ' (needs root)'}`, () => {
  const COOKIE = 0x1122334455667788n;
  let steering: XdpSteering;
  let packets: Record<string, Uint8Array>;
  const programs: Record<string, number> = {};
  const fds: number[] = [];

  const run = (program: string, name: string): number => bpfTestRun(programs[program]!, packets[name]!).action;

  beforeAll(() => {
    packets = build({ ...redirected, ...passed });
    steering = new XdpSteering();
    for (const prefix of ['10.10.2.2/32', '90.1.2.3/8', '2001:db8::/32']) steering.addPrefix(prefix);
    steering.addReturn('192.168.1.1', 6, 80);
    steering.addReturn('192.168.1.2', 17, 53);
    steering.addReturn('fd00::1', 6, 80);
    steering.setNat(3, 4, true);
    steering.setNat(3, 6, true);
    for (const address of ['172.16.0.1', '172.16.0.2', 'fd00:1::1']) steering.addLocalAddress(address);
    steering.addNodePort(4, 17, 30053);
    steering.addNodePort(4, 6, 30080);
    steering.addNodePort(6, 6, 30080);
    steering.addNodePort(6, 6, 30086);
    steering.addTunnelSource('172.16.0.1'); // a local address, as is usual
    steering.addTunnelSource('fd00:1::5');
    // Test runs come in on loopback, where no XDP socket can be: a device map answers the same helper in the same way.
    const devices = bpfMapCreate({ type: 'devmap', keyBytes: 4, valueBytes: 4, entries: 1, name: 'devices' });
    bpfMapUpdate(devices, new Uint8Array(4), Uint8Array.of(1, 0, 0, 0));
    const empty = bpfMapCreate({ type: 'xskmap', keyBytes: 4, valueBytes: 4, entries: 1, name: 'empty' });
    const { maps } = steering;
    programs.nat = bpfLoadXdp('nat', xdpProgram({ maps, sockets: devices, interfaceIndex: 3 }));
    programs.plain = bpfLoadXdp('plain', xdpProgram({ maps, sockets: devices, interfaceIndex: 4 }));
    programs.generic = bpfLoadXdp('gen', xdpProgram({ maps, sockets: devices, interfaceIndex: 3, puntCookie: COOKIE }));
    programs.closed = bpfLoadXdp('closed', xdpProgram({ maps, sockets: empty, interfaceIndex: 3 }));
    fds.push(devices, empty, ...Object.values(programs));
  });
  afterAll(() => {
    steering.close();
    fds.forEach(close);
  });

  it.each(Object.keys(redirected))('redirects %s', (name) => {
    expect(run('nat', name)).toBe(XDP_REDIRECT);
    expect(run('generic', name)).toBe(XDP_REDIRECT);
  });
  it.each(Object.keys(passed))('passes %s', (name) => {
    expect(run('nat', name)).toBe(XDP_PASS);
    expect(run('generic', name)).toBe(XDP_PASS);
  });

  it.each(Object.keys(redirected))('without NAT and without socket: %s', (name) => {
    expect(run('plain', name)).toBe(name in returns ? XDP_PASS : XDP_REDIRECT);
    expect(run('closed', name)).toBe(XDP_PASS);
  });

  it('leaves the packet as it is', () => {
    for (const packet of Object.values(packets)) {
      const output = new Uint8Array(2048);
      const { bytes } = bpfTestRun(programs.generic!, packet, { output });
      expect(output.subarray(0, bytes)).toEqual(new Uint8Array(packet));
    }
  });

  it('takes the prefix off a punted frame in generic mode, and only with the right cookie', () => {
    const frame = packets['IPv4 to a VIP']!;
    const output = new Uint8Array(2048);
    const punt = (cookie: bigint, program = 'generic') =>
      bpfTestRun(programs[program]!, Buffer.concat([puntPrefix(frame, cookie), frame]), { output });
    expect(punt(COOKIE)).toEqual({ action: XDP_PASS, bytes: frame.length });
    expect(output.subarray(0, frame.length)).toEqual(new Uint8Array(frame));
    expect(punt(COOKIE + 1n)).toEqual({ action: XDP_PASS, bytes: frame.length + PUNT_PREFIX_BYTES });
    expect(punt(COOKIE, 'nat')).toEqual({ action: XDP_PASS, bytes: frame.length + PUNT_PREFIX_BYTES });
    const cut = puntPrefix(frame, COOKIE).subarray(0, PUNT_PREFIX_BYTES - 1);
    expect(bpfTestRun(programs.generic!, cut, { output })).toEqual({ action: XDP_PASS, bytes: cut.length });
  });

  it('follows changes at once, and counts what is there twice', () => {
    const vip = 'IPv4 to a VIP';
    steering.addPrefix('10.10.2.2/32');
    steering.removePrefix('10.10.2.2');
    expect(run('nat', vip)).toBe(XDP_REDIRECT);
    steering.removePrefix('10.10.2.2/32');
    expect(run('nat', vip)).toBe(XDP_PASS);
    steering.removePrefix('10.10.2.2/32');
    steering.addPrefix('10.10.2.2/32');
    expect(run('nat', vip)).toBe(XDP_REDIRECT);

    const [reply, fragment] = ['TCP from a server', 'a later fragment from a server'];
    const both = () => [run('nat', reply!), run('nat', fragment!)];
    steering.addReturn('192.168.1.1', 6, 80);
    steering.addReturn('192.168.1.1', 6, 443);
    steering.removeReturn('192.168.1.1', 6, 80);
    expect(both()).toEqual([XDP_REDIRECT, XDP_REDIRECT]);
    steering.removeReturn('192.168.1.1', 6, 80);
    expect(both()).toEqual([XDP_PASS, XDP_REDIRECT]);
    steering.removeReturn('192.168.1.1', 6, 443);
    expect(both()).toEqual([XDP_PASS, XDP_PASS]);
    steering.addReturn('192.168.1.1', 6, 80);

    steering.setNat(3, 4, false);
    expect([...both(), run('nat', 'TCP from a server, IPv6')]).toEqual([XDP_PASS, XDP_PASS, XDP_REDIRECT]);
    steering.setNat(3, 4, true);
    expect(both()).toEqual([XDP_REDIRECT, XDP_REDIRECT]);
  });

  it('brings later fragments where the first went', () => {
    const frames = build({
      first: `Ether()/IP(src='10.9.9.9',dst='172.16.0.1',id=7,flags='MF')/UDP(dport=30053)`,
      later: `Ether()/IP(src='10.9.9.9',dst='172.16.0.1',id=7,proto=17,frag=1,flags='MF')/Raw(b'x')`,
      last: `Ether()/IP(src='10.9.9.9',dst='172.16.0.1',id=7,proto=17,frag=2)/Raw(b'x')`,
      'another id': `Ether()/IP(src='10.9.9.9',dst='172.16.0.1',id=8,proto=17,frag=2)/Raw(b'x')`,
      'another client': `Ether()/IP(src='10.9.9.8',dst='172.16.0.1',id=7,proto=17,frag=2)/Raw(b'x')`,
      'another address': `Ether()/IP(src='10.9.9.9',dst='172.16.0.2',id=7,proto=17,frag=2)/Raw(b'x')`,
      ping: `Ether()/IP(src='10.9.9.9',dst='172.16.0.1',id=7,proto=1,frag=2)/Raw(b'x')`,
      'first to the host': `Ether()/IP(src='10.9.9.9',dst='172.16.0.1',id=7,flags='MF')/UDP(dport=53)`,
      first6: `Ether()/IPv6(src='2001:db9::9',dst='fd00:1::1')/IPv6ExtHdrDestOpt()/IPv6ExtHdrFragment(m=1,id=7)/TCP(dport=30080)`,
      later6: `Ether()/IPv6(src='2001:db9::9',dst='fd00:1::1')/IPv6ExtHdrDestOpt()/IPv6ExtHdrFragment(offset=1,id=7)/Raw(b'x')`,
      'another id6': `Ether()/IPv6(src='2001:db9::9',dst='fd00:1::1')/IPv6ExtHdrFragment(offset=1,id=8)/Raw(b'x')`,
      'first to the host6': `Ether()/IPv6(src='2001:db9::9',dst='fd00:1::1')/IPv6ExtHdrFragment(m=1,id=7)/TCP(dport=22)`,
    });
    const steered = (...names: string[]): boolean[] =>
      names.map((name) => bpfTestRun(programs.plain!, frames[name]!).action === XDP_REDIRECT);
    expect(steered('later', 'later6')).toEqual([false, false]);
    expect(steered('first', 'later', 'last')).toEqual([true, true, true]);
    expect(steered('another id', 'another client', 'another address', 'ping')).toEqual([false, false, false, false]);
    expect(steered('first6', 'later6', 'another id6')).toEqual([true, true, false]);
    // The client's next datagram with this identification is for the host.
    expect(steered('first to the host', 'last')).toEqual([false, false]);
    expect(steered('first to the host6', 'later6')).toEqual([false, false]);
  });

  it('knows node ports, local addresses and tunnel sources no more when they have gone', () => {
    const steered = (...names: string[]): boolean[] => names.map((name) => run('plain', name) === XDP_REDIRECT);
    const [tcp, udp, six] = [
      'TCP to a node port, of another local address',
      'UDP to a node port',
      'TCP to a node port, IPv6',
    ];
    steering.addNodePort(4, 6, 30080);
    steering.removeNodePort(4, 6, 30080);
    expect(steered(tcp!, udp!, six!)).toEqual([true, true, true]);
    steering.removeNodePort(4, 6, 30080);
    steering.removeNodePort(4, 6, 30080); // once too often
    expect(steered(tcp!, udp!, six!)).toEqual([false, true, true]);
    steering.removeNodePort(4, 17, 30053);
    expect(steered(tcp!, udp!, six!, 'unreachable, about a node port')).toEqual([false, false, true, false]);
    steering.addNodePort(4, 17, 30053);
    steering.addNodePort(4, 6, 30080);
    steering.removeLocalAddress('172.16.0.2');
    expect(steered(tcp!, udp!, six!)).toEqual([false, true, true]);
    steering.addLocalAddress('172.16.0.2');
    expect(steered(tcp!, udp!, six!)).toEqual([true, true, true]);

    const about = ['unreachable, about a tunnel', 'too big, about a tunnel'];
    steering.removeTunnelSource('172.16.0.1');
    expect(steered(...about)).toEqual([false, true]);
    steering.addTunnelSource('172.16.0.1');
    expect(steered(...about)).toEqual([true, true]);
  });

  it('refuses what is no address, and changes nothing', () => {
    expect(() => steering.addPrefix('10.0.0.0/33')).toThrow('must be from 0 to 32');
    expect(() => steering.addReturn('server', 6, 80)).toThrow('address');
    expect(() => steering.setNat(64, 4, true)).toThrow('from 0 to 63');
  });
});
