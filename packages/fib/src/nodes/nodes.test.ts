import { META_REASON, METADATA_BYTES } from '@lbd/graph';
import {
  arp,
  checksum,
  ethernet,
  expectPacket,
  fragmentExtension,
  icmp4,
  ip4,
  ip6,
  packet,
  pseudoHeader,
  tcp,
  udp,
} from '@lbd/packet';
import * as fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  connect,
  counter,
  type IpBench,
  ipBench,
  learn,
  OUR_MAC,
  type Seen,
  spyNode,
  THEIR_MAC,
} from '../../test/bench.ts';
import { DpoFormats, dpo } from '../dpo.ts';
import * as L from '../layout.ts';

const ether = ethernet({ dst: OUR_MAC(0), src: THEIR_MAC });
const flow = { src: '9.9.9.9', dst: '10.1.0.2' };
const flow6 = { src: '2001:db8::9', dst: 'fd01::2' };

let ip: IpBench;
let more: () => Record<string, number>;
let punted = '';

beforeAll(async () => {
  ip = await ipBench('ethernet-input');
  learn(ip.routes, 1, '10.1.0.2');
  learn(ip.routes, 1, 'fd01::2');
});
beforeEach(() => {
  more = counter(ip);
  ip.posted.length = 0;
});

/** What was counted since the test began. The interfaces have no addresses here, so no ICMP errors are sent. */
function counted(): Record<string, number> {
  return Object.fromEntries(
    Object.entries(more()).filter(([name]) => !/icmp-error: (no address|not allowed)$/.test(name)),
  );
}

/** Sends one packet through. The punt node is a sink here: `punted` says what it would have counted. */
function send(bytes: Uint8Array, rx = 0) {
  let meta = 0;
  ip.bench.inject(bytes, rx, ({ buffer }) => {
    meta = ip.bench.layout.metadata + buffer * METADATA_BYTES;
  });
  const sent = ip.bench.run();
  const counter = ip.bench.graph.counters[ip.bench.arena.memory.u16[(meta + META_REASON) >> 1]!]!;
  punted = sent[0]?.node === 'punt' ? `${counter.node}: ${counter.name}` : '';
  return sent;
}

describe('forwarding', () => {
  it('sends IPv4 on with one hop less, right checksum, and the next hop’s Ethernet header', () => {
    const [sent, ...others] = send(
      packet(ether, ip4({ ...flow, ttl: 9, tos: 4, id: 77 }), udp({ sport: 1, dport: 2 }), 'data'),
    );
    expect(others).toEqual([]);
    expect([sent!.node, sent!.tx, sent!.rx]).toEqual(['interface-output', 1, 0]);
    expectPacket(
      sent!.bytes,
      ethernet({ src: OUR_MAC(1), dst: THEIR_MAC, type: 0x800 }),
      ip4({ ...flow, ttl: 8, tos: 4, id: 77 }),
      udp({ sport: 1, dport: 2 }),
      'data',
    );
    expect(counted()).toEqual({});
  });

  it('sends IPv6 on', () => {
    const [sent] = send(packet(ether, ip6({ ...flow6, hopLimit: 9 }), tcp({ dport: 80 }), 'data'));
    expect([sent!.node, sent!.tx]).toEqual(['interface-output', 1]);
    expectPacket(
      sent!.bytes,
      ethernet({ src: OUR_MAC(1), dst: THEIR_MAC }),
      ip6({ ...flow6, hopLimit: 8 }),
      tcp({ dport: 80 }),
      'data',
    );
  });

  it('keeps the checksum right for every header, and trims Ethernet padding', () => {
    fc.assert(
      fc.property(
        fc.nat(0xffff),
        fc.integer({ min: 2, max: 255 }),
        fc.nat(0xff),
        fc.nat(0x3fff),
        fc.uint8Array({ maxLength: 40 }),
        fc.nat(20),
        (id, ttl, tos, host, options, padding) => {
          const src = `11.${host >> 8}.${host & 255}.1`;
          const bytes = packet(ether, ip4({ ...flow, src, id, ttl, tos, options }), udp(), 'x', new Uint8Array(0));
          const padded = new Uint8Array(bytes.length + padding).fill(0xee);
          padded.set(bytes);
          const [sent] = send(padded);
          expect(sent!.bytes.length).toBe(bytes.length);
          expectPacket(sent!.bytes, ethernet(), ip4({ src, id, ttl: ttl - 1, tos }), udp(), 'x');
        },
      ),
      { numRuns: 300 },
    );
  });

  it('gives the very checksum that computing it anew gives, also where it becomes 0', () => {
    const build = (id: number, ttl: number) => packet(ether, ip4({ ...flow, id, ttl }), udp({ checksum: 0 }));
    let zeros = 0;
    for (let id = 0; id < 65536; id += 1) {
      const bytes = build(id, 9);
      // a header with checksum 0xfeff gets 0 when its TTL goes down; others now and then
      if ((bytes[24] !== 0xfe || bytes[25] !== 0xff) && id % 4096 !== 0) continue;
      const [sent] = send(bytes);
      expect(sent!.bytes.slice(14)).toEqual(build(id, 8).slice(14));
      if (sent!.bytes[24] === 0 && sent!.bytes[25] === 0) zeros++;
    }
    expect(zeros).toBe(1);
  });

  it('hands on vectors of all kinds without mixing them up', () => {
    const kinds: [Uint8Array, string | undefined][] = [
      [packet(ether, ip4(flow), udp()), 'interface-output'],
      [packet(ether, ip6(flow6), udp()), 'interface-output'],
      [packet(ether, arp()), 'punt'],
      [packet(ether, ip4({ ...flow, dst: '77.7.7.7' }), udp()), undefined],
      [packet(ether, ip4({ ...flow, dst: '224.0.0.1' }), udp()), 'punt'],
    ];
    fc.assert(
      fc.property(fc.array(fc.nat(kinds.length - 1), { minLength: 1, maxLength: 600 }), (choice) => {
        for (const kind of choice) ip.bench.inject(kinds[kind]![0]);
        const sent = ip.bench.run().map(({ node, bytes }) => `${node} ${bytes.length}`);
        const count = (list: string[], what: string) => list.filter((one) => one === what).length;
        const ends = choice.map((kind) => kinds[kind]![1] ?? 'drop');
        const nodes = sent.map((one) => one.split(' ')[0]!);
        for (const end of ['interface-output', 'punt']) expect(count(nodes, end)).toBe(count(ends, end));
      }),
      { numRuns: 30 },
    );
    expect(counted()['ip4-lookup: no route']).toBeGreaterThan(0);
    expect(counted()['graph: no reason']).toBeUndefined();
  });
});

describe('refusing', () => {
  const ok = packet(ether, ip4(flow), udp(), 'data');
  const ok6 = packet(ether, ip6(flow6), udp(), 'data');
  /** Changes the IP header; `fix` makes its checksum right again. */
  const twist = (bytes: Uint8Array, at: number, value: number, fix = true) => {
    const copy = bytes.slice();
    copy[14 + at] = value;
    if (fix && copy[12] === 8 && copy[13] === 0) {
      copy.fill(0, 24, 26);
      const header = (copy[14]! & 15) * 4;
      const sum = checksum(copy.subarray(14, 14 + header));
      copy.set([sum >> 8, sum & 255], 24);
    }
    return copy;
  };
  const dst = (mac: string) => ethernet({ dst: mac, src: THEIR_MAC });
  it.each<[string, Uint8Array, string | undefined, string]>([
    [
      'another host’s MAC',
      packet(dst('02:00:00:00:09:09'), ip4(flow), udp()),
      undefined,
      'ethernet-input: not for this host',
    ],
    [
      'broadcast',
      packet(dst('ff:ff:ff:ff:ff:ff'), ip4(flow), udp()),
      'punt',
      'ethernet-input: link-layer broadcast or multicast',
    ],
    ['arp', packet(ether, arp()), 'punt', 'ethernet-input: unknown ethertype'],
    [
      'vlan',
      packet(ethernet({ dst: OUR_MAC(0), type: 0x8100 }), 'tagged'),
      'punt',
      'ethernet-input: unknown ethertype',
    ],
    ['ip4 version', twist(ok, 0, 0x55), undefined, 'ip4-input: bad version'],
    ['ip4 header length', twist(ok, 0, 0x44), undefined, 'ip4-input: bad header length'],
    ['ip4 total length below header', twist(ok, 3, 19), undefined, 'ip4-input: bad length'],
    ['ip4 total length beyond packet', twist(ok, 3, 33), undefined, 'ip4-input: truncated'],
    ['ip4 checksum', twist(ok, 10, ok[24]! ^ 1, false), undefined, 'ip4-input: bad checksum'],
    [
      'ip4 checksum with options',
      twist(packet(ether, ip4({ ...flow, options: new Uint8Array(8) }), udp()), 21, 1, false),
      undefined,
      'ip4-input: bad checksum',
    ],
    ['ttl 0', twist(ok, 8, 0), undefined, 'ip4-input: ttl expired'],
    ['ttl 1', twist(ok, 8, 1), undefined, 'ip4-rewrite: ttl expired'],
    ['loopback source', twist(ok, 12, 127), undefined, 'ip4-input: bad source'],
    ['multicast source', twist(ok, 12, 224), undefined, 'ip4-input: bad source'],
    ['source 0', twist(ok, 12, 0), undefined, 'ip4-input: bad source'],
    ['no route', packet(ether, ip4({ ...flow, dst: '99.0.0.1' }), udp()), undefined, 'ip4-lookup: no route'],
    [
      'martian destination',
      packet(ether, ip4({ ...flow, dst: '127.0.0.1' }), udp()),
      undefined,
      'ip4-lookup: martian destination',
    ],
    [
      'multicast destination',
      packet(ether, ip4({ ...flow, dst: '224.0.0.9' }), udp()),
      'punt',
      'ip4-lookup: multicast',
    ],
    ['ip6 version', twist(ok6, 0, 0x40), undefined, 'ip6-input: bad version'],
    ['ip6 length', twist(ok6, 5, 200), undefined, 'ip6-input: truncated'],
    ['hop limit 0', twist(ok6, 7, 0), undefined, 'ip6-input: hop limit exceeded'],
    ['hop limit 1', twist(ok6, 7, 1), undefined, 'ip6-rewrite: ttl expired'],
    ['multicast source 6', packet(ether, ip6({ ...flow6, src: 'ff02::1' }), udp()), undefined, 'ip6-input: bad source'],
    ['loopback source 6', packet(ether, ip6({ ...flow6, src: '::1' }), udp()), undefined, 'ip6-input: bad source'],
    ['no source 6', packet(ether, ip6({ ...flow6, src: '::' }), udp()), undefined, 'ip6-input: bad source'],
    [
      'link-local destination',
      packet(ether, ip6({ ...flow6, dst: 'fe80::1' }), udp()),
      'punt',
      'ip6-lookup: link local',
    ],
    [
      'too big with DF',
      packet(ether, ip4({ ...flow, df: true }), udp(), new Uint8Array(1473)),
      undefined,
      'ip4-rewrite: too big',
    ],
    ['too big 6', packet(ether, ip6(flow6), udp(), new Uint8Array(1453)), undefined, 'ip6-rewrite: too big'],
  ])('%s', (_name, bytes, end, why) => {
    const sent = send(bytes);
    expect(sent.map(({ node }) => node)).toEqual(end === undefined ? [] : [end]);
    if (end === 'punt') expect(punted).toBe(why);
    else expect(counted()).toEqual({ [why]: 1 });
    // punted packets have their Ethernet header in front
    if (end === 'punt') expect(sent[0]!.bytes.length).toBe(bytes.length - 14);
  });

  it('lets the largest packet through', () => {
    expect(send(packet(ether, ip4({ ...flow, df: true }), udp(), new Uint8Array(1472)))).toHaveLength(1);
  });

  it.each([
    ['ip4', packet(ether, ip4({ ...flow, options: new Uint8Array(8) }), tcp({ dport: 80 }), 'payload')],
    [
      'ip6',
      packet(
        ether,
        ip6({
          ...flow6,
          extensions: [{ type: 60, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) }, fragmentExtension(1, 0, false)],
        }),
        udp(),
        'payload',
      ),
    ],
  ])('%s cut at every length is dropped for a reason, except whole', (_name, whole) => {
    for (let length = 0; length < whole.length; length++) expect(send(whole.slice(0, length))).toEqual([]);
    expect(send(whole)).toHaveLength(1);
    const reasons = Object.values(counted()).reduce((sum, n) => sum + n, 0);
    expect(reasons).toBe(whole.length);
    expect(counted()['graph: no reason']).toBeUndefined();
  });

  it('survives random bytes: each packet leaves somewhere or has a reason', () => {
    const mutate = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { minLength: 1, maxLength: 6 });
    let injected = 0;
    let left = 0;
    fc.assert(
      fc.property(fc.constantFrom(ok, ok6), mutate, fc.nat(60), (base, changes, cut) => {
        const bytes = base.slice(0, base.length - (cut < 20 ? cut : 0));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        injected++;
        left += send(bytes).length;
        expect(punted).not.toBe('graph: no reason');
      }),
      { numRuns: 1000 },
    );
    const reasons = Object.entries(counted()).filter(([name]) => !name.endsWith('requests'));
    const refused = reasons.reduce((sum, [, n]) => sum + n, 0);
    expect([refused + left, counted()['graph: no reason']]).toEqual([injected, undefined]);
  });
});

describe('where the L4 header is', () => {
  const view = (bytes: Uint8Array) => {
    const seen: Record<string, number>[] = [];
    ip.bench.inject(bytes, 0, (p) => seen.push({ buffer: p.buffer }));
    ip.bench.run();
    const meta = ip.bench.layout.metadata + seen[0]!.buffer! * 32;
    const { u8, u16 } = ip.bench.arena.memory;
    return { l4: u16[(meta + 20) >> 1], protocol: u8[meta + 22], flags: u16[(meta + 6) >> 1] };
  };
  const pad = { type: 60, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) };
  const ah = { type: 51, data: Uint8Array.of(1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1) };
  it.each<[string, Uint8Array, { l4: number; protocol: number; flags: number }]>([
    ['ip4', packet(ether, ip4(flow), tcp()), { l4: 20, protocol: 6, flags: 0 }],
    [
      'ip4 options',
      packet(ether, ip4({ ...flow, options: new Uint8Array(40) }), icmp4({ type: 8 })),
      { l4: 60, protocol: 1, flags: 0 },
    ],
    ['ip4 first fragment', packet(ether, ip4({ ...flow, mf: true }), udp()), { l4: 20, protocol: 17, flags: 4 }],
    [
      'ip4 later fragment',
      packet(ether, ip4({ ...flow, fragmentOffset: 8, protocol: 17 }), 'x'),
      { l4: 20, protocol: 255, flags: 2 },
    ],
    ['ip6', packet(ether, ip6(flow6), tcp()), { l4: 40, protocol: 6, flags: 0 }],
    [
      'ip6 extensions',
      packet(ether, ip6({ ...flow6, extensions: [{ ...pad, type: 0 }, pad, ah] }), tcp()),
      { l4: 68, protocol: 6, flags: 0 },
    ],
    [
      'ip6 first fragment',
      packet(ether, ip6({ ...flow6, extensions: [fragmentExtension(1, 0, true)] }), udp()),
      { l4: 48, protocol: 17, flags: 4 },
    ],
    [
      'ip6 atomic fragment',
      packet(ether, ip6({ ...flow6, extensions: [fragmentExtension(1, 0, false)] }), udp()),
      { l4: 48, protocol: 17, flags: 0 },
    ],
    [
      'ip6 later fragment',
      packet(ether, ip6({ ...flow6, extensions: [fragmentExtension(1, 8, true)], protocol: 17 }), 'x'),
      { l4: 48, protocol: 255, flags: 2 },
    ],
  ])('%s', (_name, bytes, expected) => {
    expect(view(bytes)).toEqual(expected);
  });
  it('drops extension headers that end behind the packet', () => {
    const long = { type: 60, data: Uint8Array.of(1, 1, 4, 0, 0, 0, 0) };
    expect(send(packet(ether, ip6({ ...flow6, extensions: [long], protocol: 59 })))).toEqual([]);
    expect(counted()).toEqual({ 'ip6-input: bad extension headers': 1 });
  });
  it('takes eight extension headers and drops nine', () => {
    const many = (n: number) => packet(ether, ip6({ ...flow6, extensions: Array(n).fill(pad) }), udp());
    expect(view(many(8))).toEqual({ l4: 104, protocol: 17, flags: 0 });
    expect(send(many(9))).toEqual([]);
    expect(counted()).toEqual({ 'ip6-input: bad extension headers': 1 });
  });
});

describe('partial checksums', () => {
  /** The segment as a sender leaves it to hardware: the field holds the sum of the pseudo-header. */
  const partial = (bytes: Uint8Array, l3: number, field: number, protocol: number) => {
    const copy = bytes.slice();
    const l4 = l3 === 4 ? 34 : 54;
    const addresses = l3 === 4 ? [26, 30, 34] : [22, 38, 54];
    let sum = pseudoHeader(
      copy.subarray(addresses[0], addresses[1]),
      copy.subarray(addresses[1], addresses[2]),
      protocol,
      copy.length - l4,
    );
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    copy.set([sum >> 8, sum & 255], l4 + field);
    return copy;
  };
  beforeAll(() => {
    ip.features.set('l4-checksum', 1, true);
    ip.features.set('l4-checksum6', 1, true);
  });
  const from1 = ethernet({ dst: OUR_MAC(1), src: THEIR_MAC });
  const data = fc.uint8Array({ maxLength: 1400 });

  it('are completed, and right ones left alone', () => {
    fc.assert(
      fc.property(
        data,
        fc.nat(0xffff),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        (payload, sport, isTcp, six, whole) => {
          const l4 = isTcp ? tcp({ sport, dport: 80 }) : udp({ sport, dport: 53 });
          const good = packet(from1, six ? ip6(flow6) : ip4(flow), l4, payload);
          const bytes = whole ? good : partial(good, six ? 6 : 4, isTcp ? 16 : 6, isTcp ? 6 : 17);
          const [sent] = send(bytes, 1);
          // all checksums are right: expectPacket looks; and so is every other byte
          expectPacket(sent!.bytes, ethernet(), six ? ip6() : ip4(), isTcp ? tcp({ sport }) : udp({ sport }), payload);
        },
      ),
      { numRuns: 200 },
    );
    expect(counted()['l4-checksum: completed']).toBeGreaterThan(10);
    expect(counted()['l4-checksum6: completed']).toBeGreaterThan(10);
  });

  it('that compute to 0 are sent as 0xffff over UDP', () => {
    const zero = packet(from1, ip4(flow), udp({ sport: 1, dport: 2 }), Uint8Array.of(0, 0));
    const good = packet(from1, ip4(flow), udp({ sport: 1, dport: 2 }), zero.slice(40, 42));
    expect([...good.slice(40, 42)]).toEqual([0xff, 0xff]);
    const [sent] = send(partial(good, 4, 6, 17), 1);
    expect([...sent!.bytes.slice(40, 42)]).toEqual([0xff, 0xff]);
  });

  it('are not looked for in fragments, in UDP without a checksum, in damaged packets, nor where the feature is off', () => {
    const damaged = packet(from1, ip4(flow), udp({ checksum: 0x1234 }), 'data');
    expectPacket(send(damaged, 1)[0]!.bytes, ethernet(), ip4(), udp({ checksum: 0x1234 }));
    expectPacket(
      send(packet(from1, ip4(flow), udp({ checksum: 0 }), 'data'), 1)[0]!.bytes,
      ethernet(),
      ip4(),
      udp({ checksum: 0 }),
    );
    const fragment = partial(packet(from1, ip4({ ...flow, mf: true }), udp(), 'data'), 4, 6, 17);
    expect(send(fragment, 1)[0]!.bytes.slice(34)).toEqual(fragment.slice(34));
    const off = partial(packet(ether, ip4(flow), udp(), 'data'), 4, 6, 17);
    expect(send(off, 0)[0]!.bytes.slice(34)).toEqual(off.slice(34));
    expect(counted()).toEqual({});
  });
});

describe('next hops', () => {
  it('that are not resolved are asked for, not too often', () => {
    ip.clock = 10_000;
    const to = (dst: string) => packet(ether, ip4({ ...flow, dst }), udp());
    for (let i = 0; i < 5; i++) send(to('10.1.0.77'));
    send(to('10.1.0.78'));
    expect(ip.posted).toEqual([
      { type: 'resolve', interface: 1, address: '10.1.0.77' },
      { type: 'resolve', interface: 1, address: '10.1.0.78' },
    ]);
    ip.clock += 600;
    send(to('10.1.0.77'));
    expect(ip.posted).toHaveLength(3);
    expect(counted()).toEqual({ 'ip4-glean: unresolved': 7, 'ip4-glean: requests': 3 });
  });

  it('behind a gateway that is not resolved: the gateway is asked for; then packets flow', () => {
    connect(ip.routes, '20.0.0.0/8', 1, '10.1.0.50');
    const bytes = packet(ether, ip4({ ...flow, dst: '20.1.1.1', ttl: 9 }), udp());
    expect(send(bytes)).toEqual([]);
    expect(ip.posted).toEqual([{ type: 'resolve', interface: 1, address: '10.1.0.50' }]);
    learn(ip.routes, 1, '10.1.0.50', '02:00:00:00:00:50');
    expectPacket(send(bytes)[0]!.bytes, ethernet({ dst: '02:00:00:00:00:50', src: OUR_MAC(1) }), ip4({ ttl: 8 }));
    learn(ip.routes, 1, '10.1.0.50', '02:00:00:00:00:51');
    expectPacket(send(bytes)[0]!.bytes, ethernet({ dst: '02:00:00:00:00:51' }), ip4({ ttl: 8 }));
    learn(ip.routes, 1, '10.1.0.50', '');
    expect(send(bytes)).toEqual([]);
  });

  it('over IPv6, sweeps over many addresses are bounded', () => {
    ip.clock = 100_000;
    for (let i = 0; i < 1500; i++)
      ip.bench.inject(packet(ether, ip6({ ...flow6, dst: `fd01::1:${i.toString(16)}` }), udp()));
    ip.bench.run();
    expect(ip.posted).toHaveLength(1024);
    expect(counted()['ip6-glean: unresolved']).toBe(1500);
  });

  it('on an interface that is down', () => {
    const link = (up: boolean) => ({
      kind: 'link' as const,
      before: undefined,
      now: { ifindex: 11, name: 'eth1', mac: OUR_MAC(1), mtu: 1500, up, carrier: true },
    });
    ip.routes.apply(link(false));
    expect(send(packet(ether, ip4(flow), udp()))).toEqual([]);
    ip.routes.apply(link(true));
    expect(send(packet(ether, ip4(flow), udp()))).toHaveLength(1);
    expect(counted()).toEqual({ 'ip4-rewrite: interface down': 1 });
  });

  it('several of them share the flows by weight, each flow keeping to one', () => {
    learn(ip.routes, 1, '10.1.0.61', '02:00:00:00:00:61');
    learn(ip.routes, 0, '10.0.0.62', '02:00:00:00:00:62');
    const hop = (ifindex: number, gateway: string, weight: number) => ({ ifindex, gateway, weight, dead: false });
    const now = {
      destination: '30.0.0.0/8',
      table: 254,
      type: 'unicast',
      metric: 0,
      tos: 0,
      nexthops: [hop(11, '10.1.0.61', 3), hop(10, '10.0.0.62', 1)],
    };
    ip.routes.apply({ kind: 'route', before: undefined, now });
    const hops = new Map<number, number>();
    for (let i = 0; i < 800; i++) {
      const bytes = packet(ether, ip4({ src: `9.${i & 255}.9.${i >> 8}`, dst: '30.0.0.1' }), udp());
      const [a] = send(bytes);
      expect(send(bytes)[0]!.tx).toBe(a!.tx);
      hops.set(a!.tx, (hops.get(a!.tx) ?? 0) + 1);
    }
    expect(hops.get(1)! / 800).toBeCloseTo(0.75, 1);
    expect(hops.get(0)! / 800).toBeCloseTo(0.25, 1);
  });
});

describe('packets for the host', () => {
  it('are punted', () => {
    connect(ip.routes, '10.0.0.1/32', 0, '', 'local');
    connect(ip.routes, 'fd00::1/128', 0, '', 'local');
    expect(send(packet(ether, ip4({ ...flow, dst: '10.0.0.1' }), tcp()))[0]!.node).toBe('punt');
    expect(punted).toBe('ip-local: punted');
    expect(send(packet(ether, ip6({ ...flow6, dst: 'fd00::1' }), tcp()))[0]!.node).toBe('punt');
    expect(punted).toBe('ip-local: punted');
  });

  it('go through the features of the arc ip-local that are enabled where they came in', async () => {
    const taken: Seen[] = [];
    const host = await ipBench('ethernet-input', {
      extend: (graph) => {
        graph.add(spyNode('taker', taken), { name: 'feature', next: ['taker'], process: () => 0 });
        graph.feature({ arc: 'ip-local', node: 'feature' });
      },
    });
    connect(host.routes, '10.0.0.1/32', 0, '', 'local');
    host.features.set('feature', 1, true);
    const to = (index: number) =>
      packet(ethernet({ dst: OUR_MAC(index), src: THEIR_MAC }), ip4({ ...flow, dst: '10.0.0.1' }), tcp());
    host.bench.inject(to(0), 0).inject(to(1), 1).inject(to(0), 0);
    expect(host.bench.run().map(({ node, rx }) => [node, rx])).toEqual([
      ['punt', 0],
      ['punt', 0],
    ]);
    expect(taken.map(({ rx }) => rx)).toEqual([1]);
  });
});

describe('tables that are big', () => {
  it('are looked up the same way (loading ahead)', () => {
    for (let i = 0; i < 700; i++) ip.tables.fib4.add((0xc8000000 + i * 0x10000 + 0x100) >>> 0, 32, dpo(L.DPO_PUNT, 0));
    expect(ip.tables.fib4.plies).toBeGreaterThan(L.FIB4_AHEAD_PLIES);
    for (let i = 0; i < 300; i++) {
      const second = `${200 + (i >> 8)}.${i & 255}`;
      ip.bench.inject(packet(ether, ip4({ ...flow, dst: `${second}.1.0` }), udp()));
      ip.bench.inject(packet(ether, ip4({ ...flow, dst: `${second}.1.1` }), udp()));
      ip.bench.inject(packet(ether, ip4(flow), udp()));
    }
    const ends = ip.bench.run().map(({ node }) => node);
    expect([
      ends.filter((node) => node === 'punt').length,
      ends.filter((node) => node === 'interface-output').length,
    ]).toEqual([300, 300]);
    expect(counted()).toEqual({ 'ip4-lookup: no route': 300 });
  });
});

describe('a trace', () => {
  it('names DPOs of other packages in their words', async () => {
    const words = new DpoFormats().set(L.DPO_FIRST_FREE, (index) => `VIP ${index}`);
    const traced = await ipBench('ethernet-input', {
      words,
      extend: (graph) => {
        graph.add(spyNode('vip', []));
        graph.fanOut('dpo', 'vip');
      },
    });
    traced.routes.addSpecial('90.0.0.0/8', dpo(L.DPO_FIRST_FREE, 42));
    traced.bench.runtime.tracer.add(1);
    traced.bench.inject(packet(ether, ip4({ ...flow, dst: '90.0.0.1' }), udp())).run();
    const [trace] = traced.bench.runtime.tracer.take();
    expect(trace!.steps.map(({ text }) => text)).toContain('ip4-lookup: VIP 42');
  });

  it('says what each node did', () => {
    ip.bench.runtime.tracer.add(1);
    send(packet(ether, ip4({ ...flow, ttl: 9 }), udp({ sport: 1, dport: 2 })));
    const [trace] = ip.bench.runtime.tracer.take();
    const text = trace!.steps.map((step) => step.text).filter((line) => line !== '');
    expect(text).toEqual([
      `ethernet-input: interface 0, ethernet ${THEIR_MAC} > ${OUR_MAC(0)} ip4, 28 bytes`,
      'ip4-input: ip4 9.9.9.9 > 10.1.0.2 udp ttl 9 length 28 / udp 1 > 2 length 8',
      expect.stringMatching(/^ip4-lookup: adjacency \d+$/),
      `ip4-rewrite: interface 1, ethernet ${OUR_MAC(1)} > ${THEIR_MAC} ip4 / ip4 9.9.9.9 > 10.1.0.2 udp ttl 8 length 28 / udp 1 > 2 length 8`,
    ]);
  });
});
