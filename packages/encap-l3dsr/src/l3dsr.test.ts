import { DPO_DROP, DPO_PUNT, dpo } from '@lbd/fib';
import { LbBench } from '@lbd/lb/testing';
import { expectPacket, icmp4, ip4, packet, tcp, udp, verifies } from '@lbd/packet';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { hex, scapy } from '../../packet/test/scapy.ts';
import { l3dsr, l3dsrNode } from './index.ts';

const SERVERS = ['10.1.1.1', '10.1.1.2', '10.1.1.3'];
const WEB = {
  prefix: '90.0.0.0/8',
  encap: 'l3dsr',
  dscp: 7,
  type: 'clusterip',
  newLen: 1024,
  srcIpSticky: false,
} as const;
const MAIL = { ...WEB, prefix: '91.0.0.0/8', dscp: 63 } as const;

async function benchOf(): Promise<LbBench> {
  const bench = await LbBench.create([l3dsr]);
  for (const vip of [WEB, MAIL]) {
    await bench.lb.addVip(vip);
    await bench.lb.addServers({ vip, addresses: SERVERS, flush: false });
  }
  return bench;
}

let bench: LbBench;
beforeAll(async () => {
  bench = await benchOf();
});

const serverOf = (bytes: Uint8Array) => bytes.slice(16, 20).join('.');
const one = (bytes: Uint8Array) => {
  const [out, ...more] = bench.send([bytes]);
  expect(more).toEqual([]);
  expect(out!.node).toBe('sink');
  return out!.bytes;
};
const client = (n: number) => `1.2.${n >> 8}.${n & 255}`;

describe('l3dsr', () => {
  it("gives a packet its server's address and its VIP's DSCP, and leaves the rest: ECN, TTL, ports, payload", () => {
    const arbitrary = fc.record({
      n: fc.integer({ min: 1, max: 3000 }),
      tos: fc.nat(255),
      ttl: fc.integer({ min: 2, max: 255 }),
      id: fc.nat(65535),
      df: fc.boolean(),
      web: fc.boolean(),
      payload: fc.uint8Array({ maxLength: 80 }),
      options: fc.constantFrom(new Uint8Array(), Uint8Array.of(1, 1, 1, 0)),
      kind: fc.constantFrom('tcp', 'udp'),
    });
    fc.assert(
      fc.property(arbitrary, ({ n, tos, ttl, id, df, web, payload, options, kind }) => {
        const l4 = kind === 'tcp' ? tcp({ sport: n, dport: 80, seq: n }) : udp({ sport: n, dport: 80 });
        const same = { src: client(n), ttl, id, df, options };
        const out = one(packet(ip4({ ...same, dst: web ? '90.0.0.1' : '91.7.0.1', tos }), l4, payload));
        const dst = serverOf(out);
        expect(SERVERS).toContain(dst);
        // The reference: the packet made anew, by a builder that shares nothing with the kernel.
        const dscp = web ? WEB.dscp : MAIL.dscp;
        expect(hex(out)).toBe(hex(packet(ip4({ ...same, dst, tos: (dscp << 2) | (tos & 3) }), l4, payload)));
      }),
      { numRuns: 400 },
    );
  });

  it('leaves no checksum none, and damage as visible as it was', () => {
    const none = one(packet(ip4({ src: client(1), dst: '90.0.0.1' }), udp({ sport: 1, dport: 2, checksum: 0 }), 'abc'));
    expect([none[26], none[27]]).toEqual([0, 0]);
    for (const kind of ['tcp', 'udp'] as const) {
      const l4 = kind === 'tcp' ? tcp({ sport: 1, dport: 2 }) : udp({ sport: 1, dport: 2 });
      const before = packet(ip4({ src: client(1), dst: '90.0.0.1' }), l4, 'payload');
      const good = one(before);
      expectPacket(good, ip4({}), kind === 'tcp' ? tcp({}) : udp({}), 'payload');
      before[before.length - 1]! ^= 0x40;
      const bad = one(before);
      // all is as in the good one, but the byte that was damaged
      good[good.length - 1]! ^= 0x40;
      expect(hex(bad)).toBe(hex(good));
    }
  });

  it('sends a UDP checksum that computes to 0 as 0xffff', () => {
    for (let extra = 0; extra < 65536; extra++) {
      const before = packet(
        ip4({ src: client(9), dst: '90.0.0.1' }),
        udp({ sport: 77, dport: 20 }),
        Uint8Array.of(extra >> 8, extra & 255),
      );
      const out = one(before);
      const checksum = (out[26]! << 8) | out[27]!;
      expect(checksum).not.toBe(0);
      if (checksum === 0xffff) return;
    }
    throw new Error('no payload made the checksum 0');
  });

  it('makes UDP-Lite and DCCP checksums right, as scapy computes them', () => {
    // Of both, the checksum is at offset 6, over pseudo-header and (here) all of the rest.
    const made = scapy<string[]>(
      `
from scapy.utils import checksum
def over(ip, protocol, l4):
    l4 = bytearray(l4)
    l4[6:8] = b'\\0\\0'
    head = bytes(IP(src=ip[0], dst=ip[1]))[12:20] + bytes([0, protocol]) + len(l4).to_bytes(2, 'big')
    l4[6:8] = checksum(head + bytes(l4)).to_bytes(2, 'big')
    return bytes(l4)
out = []
for n in range(40):
    for protocol, header in ((136, bytes([n, 1, 0, 2, 0, 0, 0, 0])), (33, bytes([n, 1, 0, 2, 4, 0, 0, 0, 0, 0, 0, n]))):
        l4 = header + bytes(range(n))
        row = ''
        for dst, tos in [('90.0.0.1', 3), *((s, 7 << 2 | 3) for s in input)]:
            ip = IP(src='1.2.3.4', dst=dst, proto=protocol, tos=tos, ttl=9, id=n)
            row += bytes(ip / over(('1.2.3.4', dst), protocol, l4)).hex() + ' '
        out.append(row)
`,
      SERVERS,
    );
    for (const row of made) {
      const [before, ...after] = row.trim().split(' ');
      const out = one(Uint8Array.from(Buffer.from(before!, 'hex')));
      expect(hex(out)).toBe(after[SERVERS.indexOf(serverOf(out))]);
    }
  });

  it.each([
    ['an echo request', icmp4({ type: 8 }), 'ping'],
    ['no bytes at all', new Uint8Array(0), ''],
  ])('leaves the payload of other protocols alone: %s', (_, l4, payload) => {
    const protocol = l4 instanceof Uint8Array ? { protocol: 50 } : {};
    const before = packet(ip4({ src: client(3), dst: '90.0.0.1', ...protocol }), l4, payload);
    const out = one(before);
    expect(hex(out.slice(20))).toBe(hex(before.slice(20)));
    expect(verifies(out.subarray(0, 20))).toBe(true);
    expect(out[1]).toBe(7 << 2);
  });

  it.each([
    ['TCP', 6, 19],
    ['UDP', 17, 7],
    ['UDP-Lite', 136, 7],
    ['DCCP', 33, 11],
  ])('touches nothing of a %s header that is cut off', (_, protocol, bytes) => {
    const cut = new Uint8Array(bytes).fill(0x5a);
    const out = one(packet(ip4({ src: client(4), dst: '90.0.0.1', protocol }), cut));
    expect(hex(out.slice(20))).toBe(hex(cut));
    expect(verifies(out.subarray(0, 20))).toBe(true);
  });

  it('rewrites the first fragment with its checksum, the later ones without', () => {
    const payload = new Uint8Array(64).map((_, i) => i);
    const whole = (dst: string, tos: number) =>
      packet(ip4({ src: client(5), dst, id: 7, tos }), udp({ sport: 5, dport: 6 }), payload);
    // A datagram of 72 bytes as two fragments of 40 and 32.
    const parts = (bytes: Uint8Array, dst: string, tos: number) =>
      [0, 40].map((offset) =>
        packet(
          ip4({ src: client(5), dst, id: 7, tos, protocol: 17, mf: offset === 0, fragmentOffset: offset }),
          bytes.slice(20 + offset, offset === 0 ? 60 : 92),
        ),
      );
    const out = bench.send(parts(whole('90.0.0.1', 0), '90.0.0.1', 0)).map(({ bytes }) => bytes);
    expect(out).toHaveLength(2);
    const server = serverOf(out[0]!);
    expect(out.map(hex)).toEqual(parts(whole(server, 7 << 2), server, 7 << 2).map(hex));
  });

  it('takes whole vectors of packets that go different ways', async () => {
    const own = await benchOf();
    own.route(SERVERS[1]!, dpo(DPO_DROP, 1));
    own.route(SERVERS[2]!, dpo(DPO_PUNT, 0));
    const kinds = [tcp, udp];
    const packets = Array.from({ length: 256 }, (_, n) =>
      packet(
        ip4({ src: client(n), dst: n % 5 ? '90.0.0.1' : '91.0.0.1' }),
        n % 7 === 3 ? icmp4({ type: 8 }) : kinds[n % 2]!({ sport: n }),
        `packet ${n}`,
      ),
    );
    const out = own.send(packets);
    const dropped = own.bench.counters('l3dsr').blackhole!;
    expect(dropped).toBeGreaterThan(40);
    expect(out.length).toBe(256 - dropped);
    for (const { node, bytes } of out) {
      expect(node).toBe(serverOf(bytes) === SERVERS[0] ? 'sink' : 'punt');
      const n = Number(/packet (\d+)/.exec(Buffer.from(bytes).toString('latin1'))![1]);
      expect(bytes[1]).toBe((n % 5 ? WEB.dscp : MAIL.dscp) << 2);
      const l4 = n % 7 === 3 ? icmp4({}) : kinds[n % 2]!({});
      expectPacket(bytes, ip4({ src: client(n) }), l4);
    }
  });

  it('says in traces which DSCP a packet has got', () => {
    const bytes = packet(ip4({ src: client(1), dst: SERVERS[0]!, tos: 28 }), udp({ sport: 1, dport: 2 }));
    expect(l3dsrNode(bench.handles).trace!({ as: 3, bytes } as never, bench.arena.memory)).toContain('DSCP 7');
    expect(l3dsr.show!(WEB)).toBe('packets with DSCP 7 are for 90.0.0.0/8');
  });

  it('wants a DSCP, and refuses IPv6', async () => {
    const { dscp, ...none } = WEB;
    expect(dscp).toBe(7);
    await expect(bench.lb.addVip({ ...none, prefix: '92.0.0.0/8' })).rejects.toThrow('dscp');
    await expect(bench.lb.addVip({ ...WEB, prefix: '2001::/16' })).rejects.toThrow('l3dsr');
  });
});
