// lb-tunnel-errors of @lbd/lb, with the tunnels that there are.
import { DPO_RECEIVE, dpo } from '@lbd/fib';
import type { SentPacket } from '@lbd/graph/testing';
import { defineEncap } from '@lbd/lb';
import { LbBench } from '@lbd/lb/testing';
import { icmp4, icmp6, ip4, ip6, type Part, packet, tcp, udp } from '@lbd/packet';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hex, scapy } from '../../packet/test/scapy.ts';
import { gre4, gre6 } from './index.ts';

const SOURCE = { 4: '39.40.41.42', 6: '2004::1' } as const;
/** The same with its last bit the other way round. */
const OTHER = { 4: '39.40.41.43', 6: '2004::' } as const;
const SERVER = { 4: '10.1.1.1', 6: '2002:1::1' } as const;
const ROUTER = { 4: '10.9.9.9', 6: '2002:9::9' } as const;
const OVERHEAD = { 4: 24, 6: 44 } as const;
/** The interface that the router's word comes in on, and lbd's addresses there. */
const RX = 2;
const OURS = { 4: '192.0.2.3', 6: '2001:db8:ffff::3' } as const;
type Family = 4 | 6;

let bench: LbBench;
beforeAll(async () => {
  bench = await LbBench.create([gre4, gre6]);
  await bench.lb.lbConf({ ip4SrcAddress: SOURCE[4], ip6SrcAddress: SOURCE[6] });
  for (const outer of [4, 6] as const) {
    for (const address of [SOURCE[outer], OTHER[outer]]) bench.route(address, dpo(DPO_RECEIVE, 0));
    for (const prefix of [`${80 + outer}.0.0.0/8`, `200${outer}:a::/32`]) {
      const vip = { prefix, encap: `gre${outer}`, type: 'clusterip', newLen: 8, srcIpSticky: false } as const;
      await bench.lb.addVip(vip);
      await bench.lb.addServers({ vip, addresses: [SERVER[outer]], flush: false });
    }
  }
});

let before: Record<string, number>;
beforeEach(() => {
  bench.now += 60_000; // ICMP errors are limited in their rate
  before = bench.bench.counters('lb-tunnel-errors');
});
const counted = () => {
  const now = Object.entries(bench.bench.counters('lb-tunnel-errors'));
  return Object.fromEntries(now.map(([name, n]) => [name, n - (before[name] ?? 0)]).filter(([, n]) => n !== 0));
};

/** A client's packet of one family to a VIP whose servers are reached in tunnels of another. */
function fromClient(inner: Family, outer: Family, ...parts: Part[]): Uint8Array {
  const l4 = parts.length > 0 ? parts : [tcp({ sport: 1000, dport: 80, seq: 77 }), 'x'.repeat(1300)];
  return inner === 4
    ? packet(ip4({ src: '1.2.3.4', dst: `${80 + outer}.0.0.1`, df: true, id: 9 }), ...l4)
    : packet(ip6({ src: 'fd00::4', dst: `200${outer}:a::1` }), ...l4);
}

/** What lbd sends into the tunnel for it. */
function tunnelled(bytes: Uint8Array): Uint8Array {
  const [out] = bench.send([bytes]);
  expect(out!.node).toBe('sink');
  return out!.bytes;
}

/** What a router says of a tunnel packet: as much of it is quoted as told. */
function error(outer: Family, type: number, code: number, rest: number, quoted: Uint8Array): Uint8Array {
  return outer === 4
    ? packet(ip4({ src: ROUTER[4], dst: SOURCE[4] }), icmp4({ type, code, rest }), quoted)
    : packet(ip6({ src: ROUTER[6], dst: SOURCE[6] }), icmp6({ type, code, rest }), quoted);
}

/** What the client must be told: by a builder that shares nothing with the kernels. */
function told(inner: Family, type: number, code: number, rest: number, quoted: Uint8Array): string {
  const bytes =
    inner === 4
      ? packet(
          ip4({ src: OURS[4], dst: '1.2.3.4', ttl: 255, id: 0 }),
          icmp4({ type, code, rest }),
          quoted.slice(0, 548),
        )
      : packet(
          ip6({ src: OURS[6], dst: 'fd00::4', hopLimit: 255 }),
          icmp6({ type, code, rest }),
          quoted.slice(0, 1232),
        );
  return hex(bytes);
}

const send = (bytes: Uint8Array): SentPacket[] => bench.send([bytes], RX);
const sentTo = (out: readonly SentPacket[]) => out.map(({ node, bytes }) => [node, hex(bytes)]);

const pairs: [Family, Family][] = [
  [4, 4],
  [6, 4],
  [4, 6],
  [6, 6],
];

describe.each(pairs)('an error about an IPv%i packet in gre%i', (inner, outer) => {
  const client = fromClient(inner, outer);
  const overhead = OVERHEAD[outer];
  const [tooBig, tooBigCode] = outer === 4 ? [3, 4] : [2, 0];
  const [big, bigCode] = inner === 4 ? [3, 4] : [2, 0];
  const [unreachable, host] = inner === 4 ? [3, 1] : [1, 3];

  it('that says too big tells the client the MTU that is left, and quotes its own packet', () => {
    const out = send(error(outer, tooBig, tooBigCode, 1400, tunnelled(client).slice(0, 200)));
    expect(sentTo(out)).toEqual([
      ['sink', told(inner, big, bigCode, 1400 - overhead, client.slice(0, 200 - overhead))],
    ]);
    expect(counted()).toEqual({ 'too big': 1 });
  });

  it('quotes as much as the router did, no more', () => {
    const whole = tunnelled(client);
    for (const quoted of [120, 548, whole.length]) {
      const [out] = send(error(outer, tooBig, tooBigCode, 1400, whole.slice(0, quoted)));
      expect(hex(out!.bytes)).toBe(told(inner, big, bigCode, 1400 - overhead, client.slice(0, quoted - overhead)));
    }
  });

  const unreachables =
    outer === 4
      ? [
          [3, 0],
          [3, 1],
          [3, 2],
          [3, 13],
          [11, 0],
        ]
      : [
          [1, 0],
          [1, 3],
          [1, 4],
          [3, 0],
          [4, 1],
        ];
  it.each(unreachables)('of type %i, code %i, tells the client that the host is unreachable', (type, code) => {
    const out = send(error(outer, type!, code!, 0, tunnelled(client).slice(0, 128)));
    expect(sentTo(out)).toEqual([['sink', told(inner, unreachable!, host!, 0, client.slice(0, 128 - overhead))]]);
    expect(counted()).toEqual({ unreachable: 1 });
  });

  const others =
    outer === 4
      ? [
          [11, 1],
          [12, 0],
        ]
      : [
          [3, 1],
          [4, 0],
          [4, 2],
        ];
  it.each(others)('of type %i, code %i, says nothing of its packet, and is dropped', (type, code) => {
    expect(send(error(outer, type!, code!, 0, tunnelled(client).slice(0, 128)))).toEqual([]);
    expect(counted()).toEqual({ 'other errors': 1 });
  });

  it('that quotes too little is dropped, whatever is cut off', () => {
    const whole = tunnelled(client);
    const headers = (inner === 4 ? 20 : 40) + 8;
    for (let quoted = outer === 4 ? 20 : 40; quoted < overhead + headers; quoted++) {
      expect(send(error(outer, tooBig, tooBigCode, 1400, whole.slice(0, quoted)))).toEqual([]);
    }
    expect(Object.keys(counted())).toEqual(['quotes too little']);
    expect(send(error(outer, tooBig, tooBigCode, 1400, whole.slice(0, overhead + headers)))).toHaveLength(1);
  });

  it('that is damaged is dropped', () => {
    const bytes = error(outer, tooBig, tooBigCode, 1400, tunnelled(client).slice(0, 128));
    bytes[bytes.length - 1]! ^= 1;
    expect(send(bytes)).toEqual([]);
    expect(counted()).toEqual({ 'bad checksum': 1 });
  });

  it('never tells less than links must take', () => {
    const [out] = send(error(outer, tooBig, tooBigCode, 50, tunnelled(client).slice(0, 128)));
    expect(hex(out!.bytes)).toBe(told(inner, big, bigCode, inner === 4 ? 68 : 1280, client.slice(0, 128 - overhead)));
  });

  it('about an ICMP error is dropped: none is sent about those', () => {
    const about = inner === 4 ? icmp4({ type: 3, code: 1 }) : icmp6({ type: 1 });
    const sent = tunnelled(fromClient(inner, outer, about, 'about something'));
    expect(send(error(outer, tooBig, tooBigCode, 1400, sent))).toEqual([]);
  });

  it('is left to the kernel unless the packet was sent by lbd, to a server, in a tunnel', () => {
    const whole = tunnelled(client);
    const altered = (at: number) => whole.map((byte, i) => (i === at ? byte ^ 1 : byte));
    const [source, destination, protocol] = outer === 4 ? [15, 19, 9] : [23, 39, 6];
    for (const at of [source!, destination!, protocol!]) {
      const out = send(error(outer, tooBig, tooBigCode, 1400, altered(at).slice(0, 128)));
      expect(out.map(({ node }) => node)).toEqual(['punt']);
    }
    // an address of the host that tunnels are not sent from
    const other = outer === 4 ? ip4({ src: ROUTER[4], dst: OTHER[4] }) : ip6({ src: ROUTER[6], dst: OTHER[6] });
    const icmp = outer === 4 ? icmp4 : icmp6;
    const about = packet(other, icmp({ type: tooBig, code: tooBigCode, rest: 1400 }), altered(source!).slice(0, 128));
    expect(send(about).map(({ node }) => node)).toEqual(['punt']);
    const echo = error(outer, outer === 4 ? 0 : 129, 0, 7, whole.slice(0, 128));
    expect(send(echo).map(({ node }) => node)).toEqual(['punt']);
    expect(counted()).toEqual({});
  });
});

describe.each([4, 6] as const)('tunnels in UDP over IPv%i', (outer) => {
  /** Two that differ in what stands between UDP and the packet inside. */
  const behind = { bare: 0, vxlan: 22 } as const;
  const outside = (outer === 4 ? 20 : 40) + 8;
  const ends = { 4: { src: SOURCE[4], dst: SERVER[4] }, 6: { src: SOURCE[6], dst: SERVER[6] } } as const;
  /** A packet of UDP from lbd's address to the server. */
  const toServer = (...parts: Part[]) =>
    packet(outer === 4 ? ip4(ends[4]) : ip6(ends[6]), udp({ sport: 50_000, dport: 4789 }), ...parts);
  const prefix = `9${outer}.0.0.0/8`;
  const client = packet(
    ip4({ src: '1.2.3.4', dst: prefix.replace('0/8', '1'), df: true }),
    udp({ sport: 1, dport: 2 }),
    'x'.repeat(900),
  );
  const [tooBig, code] = outer === 4 ? [3, 4] : [2, 0];
  const [unreachable, port] = outer === 4 ? [3, 3] : [1, 4];

  let gre: LbBench;
  beforeAll(async () => {
    gre = bench;
    const encaps = Object.entries(behind).map(([name, bytes]) =>
      defineEncap({
        name,
        summary: 'in UDP',
        vipFamilies: [4],
        serverFamily: outer,
        overhead: outside + bytes,
        tunnel: { protocols: [17] },
        vip: { targetPort: 'refused', dscp: 'refused' },
        nodes: () => [{ name, next: ['drop'], process: () => 0 }],
      }),
    );
    bench = await LbBench.create(encaps);
    await bench.lb.lbConf({ ip4SrcAddress: SOURCE[4], ip6SrcAddress: SOURCE[6] });
    bench.route(SOURCE[outer], dpo(DPO_RECEIVE, 0));
    const vip = { prefix, encap: 'vxlan', type: 'clusterip', newLen: 8, srcIpSticky: false } as const;
    await bench.lb.addVip(vip);
    await bench.lb.addServers({ vip, addresses: [SERVER[outer]], flush: false });
  });
  afterAll(() => {
    bench = gre;
  });

  it.each(Object.entries(behind))('have clients told of errors: %s', (_, bytes) => {
    const whole = toServer(new Uint8Array(bytes), client);
    const out = send(error(outer, tooBig, code, 1400, whole.slice(0, 200)));
    const quoted = client.slice(0, 200 - outside - bytes);
    expect(sentTo(out)).toEqual([['sink', told(4, 3, 4, 1400 - outside - bytes, quoted)]]);
  });

  it("leave errors about the host's own datagrams to a server to the kernel", () => {
    for (const payload of ['', 'ping', 'E'.repeat(400), '\u0060'.repeat(400)]) {
      for (const bytes of [
        error(outer, unreachable, port, 0, toServer(payload)),
        error(outer, tooBig, code, 1400, toServer(payload)),
      ]) {
        expect(sentTo(send(bytes))).toEqual([['punt', hex(bytes)]]);
      }
    }
    expect(counted()).toEqual({});
  });
});

describe('the packet inside', () => {
  it('ends where extensions of the ICMP error begin (RFC 4884)', () => {
    const client4 = fromClient(4, 4);
    // 128 bytes are quoted, 32 words of 4, and an extension follows: MPLS labels
    const quoted = tunnelled(client4).slice(0, 128);
    const extension = Uint8Array.of(0x20, 0, 0xaa, 0xbb, 0, 8, 1, 1, 0, 0, 1, 1);
    const [out] = send(error(4, 3, 4, (32 << 16) | 1400, packet(quoted, extension)));
    expect(hex(out!.bytes)).toBe(told(4, 3, 4, 1376, client4.slice(0, 104)));
    // 64-bit words in ICMPv6
    const client6 = fromClient(6, 6);
    const [out6] = send(error(6, 1, 0, 16 << 24, packet(tunnelled(client6).slice(0, 128), extension)));
    expect(hex(out6!.bytes)).toBe(told(6, 1, 3, 0, client6.slice(0, 84)));
  });

  it('ends where its own header says, whatever pads the error', () => {
    const client = fromClient(4, 4, udp({ sport: 1, dport: 2 }), 'short');
    const [out] = send(error(4, 3, 1, 0, packet(tunnelled(client), new Uint8Array(80))));
    expect(hex(out!.bytes)).toBe(told(4, 3, 1, 0, client));
  });

  it('may be a fragment, but no later one', () => {
    const fragment = (offset: number) =>
      packet(
        ip4({ src: '1.2.3.4', dst: '84.0.0.1', id: 5, protocol: 17, mf: offset === 0, fragmentOffset: offset }),
        'y'.repeat(64),
      );
    const [first, later] = bench.send([fragment(0), fragment(64)]);
    expect(send(error(4, 3, 1, 0, first!.bytes))).toHaveLength(1);
    expect(send(error(4, 3, 1, 0, later!.bytes))).toEqual([]);
  });

  it('of IPv6 that has no more than 1280 bytes can not be made smaller', () => {
    const client = fromClient(6, 6, udp({ sport: 1, dport: 2 }), 'z'.repeat(1000));
    expect(send(error(6, 2, 0, 1300, tunnelled(client).slice(0, 200)))).toEqual([]);
    expect(counted()).toEqual({ 'mtu too small': 1 });
  });
});

it.each([
  [1400, 1006],
  [1500, 1492],
  [1000, 508],
  [300, 296],
  [60, 68 + 24],
])('a router that does not say its MTU had the next plateau below %i bytes: %i (RFC 1191)', (length, plateau) => {
  const client = fromClient(4, 4, udp({ sport: 1, dport: 2 }), new Uint8Array(length - 24 - 28));
  const [out] = send(error(4, 3, 4, 0, tunnelled(client).slice(0, 128)));
  expect(hex(out!.bytes)).toBe(told(4, 3, 4, plateau - 24, client.slice(0, 104)));
});

it("understands scapy's errors, and scapy what comes of them", () => {
  const clients = pairs.map(([inner, outer]) => fromClient(inner, outer));
  const made = scapy<string[]>(
    `
out = []
for tunnel in input:
    p = bytes.fromhex(tunnel)
    if p[0] >> 4 == 4: e = IP(src='10.9.9.9', dst='39.40.41.42') / ICMP(type=3, code=4, nexthopmtu=1300) / Raw(p[:300])
    else: e = IPv6(src='2002:9::9', dst='2004::1') / ICMPv6PacketTooBig(mtu=1400) / Raw(p[:1232])
    out.append(bytes(e).hex())`,
    clients.map((client) => hex(tunnelled(client))),
  );
  const errors = made.map((bytes) => hex(send(Uint8Array.from(Buffer.from(bytes, 'hex')))[0]!.bytes));
  const read = scapy<unknown[]>(
    `
out = []
for e in input:
    p = bytes.fromhex(e)
    p = IP(p) if p[0] >> 4 == 4 else IPv6(p)
    sums = [p.chksum, p.payload.chksum] if p.version == 4 else [p.payload.cksum]
    q = p.copy()
    if p.version == 4: del q.chksum, q.payload.chksum
    else: del q.payload.cksum
    q = q.__class__(bytes(q))
    right = sums == ([q.chksum, q.payload.chksum] if p.version == 4 else [q.payload.cksum])
    mtu = p.payload.nexthopmtu if p.version == 4 else p.payload.mtu
    inner = p.payload.payload
    out.append([right, mtu, inner.src, inner.dst, inner.payload.sport, inner.payload.dport])`,
    errors,
  );
  expect(read).toEqual([
    [true, 1276, '1.2.3.4', '84.0.0.1', 1000, 80],
    [true, 1280, 'fd00::4', '2004:a::1', 1000, 80],
    [true, 1356, '1.2.3.4', '86.0.0.1', 1000, 80],
    [true, 1356, 'fd00::4', '2006:a::1', 1000, 80],
  ]);
});

it('survives any damage, and loses no buffer', () => {
  const good = pairs.map(([inner, outer]) => tunnelled(fromClient(inner, outer)));
  const arbitrary = fc.record({
    pair: fc.nat(3),
    quoted: fc.nat(300),
    type: fc.nat(15),
    code: fc.nat(15),
    rest: fc.nat(),
    damage: fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 6 }),
  });
  fc.assert(
    fc.property(arbitrary, ({ pair, quoted, type, code, rest, damage }) => {
      const [, outer] = pairs[pair]!;
      const bytes = good[pair]!.slice(0, quoted);
      for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value;
      bench.now += 1000;
      const out = send(error(outer, type, code, rest >>> 0, bytes));
      expect(out.length).toBeLessThanOrEqual(1);
      for (const { bytes: answer } of out) expect(answer.length).toBeLessThanOrEqual(1500);
    }),
    { numRuns: 1500 },
  );
  expect(bench.send([fromClient(4, 4)])).toHaveLength(1);
});
