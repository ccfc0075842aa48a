import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { planCut, writeSegment } from './segment.ts';

const TCP4 = 1;
const TCP6 = 4;
const UDP = 5;

/** The packets that scapy makes of a list of expressions. */
function scapy(...expressions: string[]): Uint8Array[] {
  const code = `
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw
data = bytes(i * 7 % 251 for i in range(60000))
E = Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')
for p in [${expressions.join(',\n')}]: print(bytes(p).hex())`;
  const text = execFileSync('/usr/bin/python3', ['-c', code], { encoding: 'utf8' });
  return text
    .trim()
    .split('\n')
    .map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));
}

/** Cuts a packet, and completes the checksums, which must be partial. */
function cut(packet: Uint8Array, type: number, size: number, room = 1792): string[] {
  const plan = planCut(packet, type, size, room);
  if (!plan) throw new Error('cannot be cut');
  return Array.from({ length: plan.segments }, (_, i) => {
    const to = new Uint8Array(room).fill(0xa5);
    const length = writeSegment(packet, plan, i, to);
    const segment = to.subarray(0, length);
    const view = new DataView(to.buffer, 0, length);
    const at = plan.l4 + (plan.tcp ? 16 : 6);
    let sum = 0;
    for (let j = plan.l4; j < length; j += 2) sum += j + 1 < length ? view.getUint16(j) : segment[j]! << 8;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    view.setUint16(at, ~sum & 0xffff);
    return Buffer.from(segment).toString('hex');
  });
}

const hex = (packets: Uint8Array[]): string[] => packets.map((packet) => Buffer.from(packet).toString('hex'));

describe('cutting packets of segmentation offload', () => {
  it('makes the TCP segments over IPv4 that scapy makes', () => {
    const ip = (id: number) =>
      `E/IP(src='10.0.0.1', dst='10.0.0.2', id=${id}, flags='DF', ttl=64, tos=1, options=b'\\x01' * 4)`;
    const tcp = (seq: number, flags: string) =>
      `TCP(sport=1, dport=2, seq=${seq}, ack=9, flags='${flags}', options=[('Timestamp', (7, 8))])`;
    const [packet, ...expected] = scapy(
      `${ip(65535)}/${tcp(0xfffffff0, 'FPAC')}/data[:3001]`,
      `${ip(65535)}/${tcp(0xfffffff0, 'AC')}/data[:1000]`,
      `${ip(0)}/${tcp(1000 - 16, 'A')}/data[1000:2000]`,
      `${ip(1)}/${tcp(2000 - 16, 'A')}/data[2000:3000]`,
      `${ip(2)}/${tcp(3000 - 16, 'FPA')}/data[3000:3001]`,
    );
    expect(cut(packet!, TCP4 | 0x80, 1000)).toEqual(hex(expected));
  });

  it('makes the TCP segments over IPv6, and the datagrams, that scapy makes', () => {
    const ip6 = `E/IPv6(src='2001:db8::1', dst='2001:db8::2', fl=5, tc=9)`;
    const [tcp, a, b, udp, c, d] = scapy(
      `${ip6}/TCP(sport=1, dport=2, seq=5, flags='PA')/data[:2000]`,
      `${ip6}/TCP(sport=1, dport=2, seq=5, flags='A')/data[:1400]`,
      `${ip6}/TCP(sport=1, dport=2, seq=1405, flags='PA')/data[1400:2000]`,
      `E/IP(src='10.0.0.1', dst='10.0.0.2', id=3)/UDP(sport=1, dport=2)/data[:1500]`,
      `E/IP(src='10.0.0.1', dst='10.0.0.2', id=3)/UDP(sport=1, dport=2)/data[:1200]`,
      `E/IP(src='10.0.0.1', dst='10.0.0.2', id=4)/UDP(sport=1, dport=2)/data[1200:1500]`,
    );
    expect(cut(tcp!, TCP6, 1400)).toEqual(hex([a!, b!]));
    expect(cut(udp!, UDP, 1200)).toEqual(hex([c!, d!]));
  });

  it('makes shorter segments of TCP when a frame has no room, and gives up on datagrams', () => {
    const [tcp, udp, ...expected] = scapy(
      `E/IP(id=1)/TCP()/data[:9000]`,
      `E/IP(id=1)/UDP()/data[:9000]`,
      ...[0, 1, 2, 3, 4, 5].map(
        (i) => `E/IP(id=${1 + i})/TCP(seq=${i * 1738})/data[${i * 1738}:${Math.min(9000, i * 1738 + 1738)}]`,
      ),
    );
    // Without a push in any of them: only the last keeps what the packet had.
    expect(cut(tcp!, TCP4, 8960)).toEqual(hex(expected));
    expect(planCut(udp!, UDP, 8960, 1792)).toBeUndefined();
  });

  it('does not cut what it cannot', () => {
    const [packet] = scapy(`E/IP()/TCP()/data[:3000]`);
    expect(planCut(packet!, 0, 1000, 1792)).toBeUndefined();
    expect(planCut(packet!, 3, 1000, 1792)).toBeUndefined();
    expect(planCut(packet!, TCP4, 0, 1792)).toBeUndefined();
    expect(planCut(packet!.subarray(0, 40), TCP4, 1000, 1792)).toBeUndefined();
    expect(planCut(packet!.subarray(0, 14), TCP4, 1000, 1792)).toBeUndefined();
  });

  it('does not take what a tunnel carries for TCP, or UDP', () => {
    const [four, six, udp] = scapy(
      `E/IP()/IP(src='192.168.1.1')/TCP()/data[:3000]`,
      `E/IP()/IPv6(src='2001:db8::1')/TCP()/data[:3000]`,
      `E/IP()/IP(src='192.168.1.1')/UDP()/data[:3000]`,
    );
    expect(planCut(four!, TCP4, 1000, 1792)).toBeUndefined();
    expect(planCut(six!, TCP6, 1000, 1792)).toBeUndefined();
    expect(planCut(udp!, UDP, 1000, 1792)).toBeUndefined();
  });
});
