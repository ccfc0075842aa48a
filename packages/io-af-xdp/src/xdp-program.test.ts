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

const redirected: Record<string, string> = {
  'IPv4 to a VIP': `Ether()/IP(dst='10.10.2.2')/TCP()`,
  'ICMP to a VIP': `Ether()/IP(dst='10.10.2.2')/ICMP()`,
  'to the first address of a VIP prefix': `Ether()/IP(dst='90.0.0.0')/UDP()`,
  'to the last address of a VIP prefix': `Ether()/IP(dst='90.255.255.255')/UDP()`,
  'IPv6 to a VIP': `Ether()/IPv6(dst='2001:db8::1')/UDP()`,
  'IPv6 into a VIP prefix': `Ether()/IPv6(dst='2001:db8:1:2:3::4')/UDP()`,
  'an IPv4 header alone to a VIP': `Ether()/IP(dst='10.10.2.2',proto=99)`,
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
};
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
    expect(run('plain', name)).toBe(/server/.test(name) ? XDP_PASS : XDP_REDIRECT);
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

  it('refuses what is no address, and changes nothing', () => {
    expect(() => steering.addPrefix('10.0.0.0/33')).toThrow('must be from 0 to 32');
    expect(() => steering.addReturn('server', 6, 80)).toThrow('address');
    expect(() => steering.setNat(64, 4, true)).toThrow('from 0 to 63');
  });
});
