import { FLAG_FIRST_FRAGMENT, FLAG_LATER_FRAGMENT, type PacketView } from '@lbd/graph';
import type { SentPacket } from '@lbd/graph/testing';
import { ethernet, expectPacket, fragmentExtension, icmp4, icmp6, ip4, ip6, packet, udp } from '@lbd/packet';
import * as fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hex, scapy, unhex } from '../../../packet/test/scapy.ts';
import {
  connect,
  counter,
  freeBuffers,
  type IpBench,
  ipBench,
  learn,
  OUR_MAC,
  setAddress,
  THEIR_MAC,
} from '../../test/bench.ts';

const ether = ethernet({ dst: OUR_MAC(0), src: THEIR_MAC });
const flow = { src: '9.9.9.9', dst: '10.1.0.2' };
const flow6 = { src: '2001:db8::9', dst: 'fd01::2' };

/** Clients are behind a router on interface 0. */
async function bench(into: string, options: Parameters<typeof ipBench>[1] = {}): Promise<IpBench> {
  const ip = await ipBench(into, options);
  for (const index of [0, 1]) setAddress(ip, index, `10.${index}.0.1`, `fd0${index}::1`);
  connect(ip.routes, '9.0.0.0/8', 0, '10.0.0.9');
  connect(ip.routes, '2001:db8::/32', 0, 'fd00::9');
  learn(ip.routes, 0, '10.0.0.9');
  learn(ip.routes, 0, 'fd00::9');
  learn(ip.routes, 1, '10.1.0.2');
  learn(ip.routes, 1, 'fd01::2');
  return ip;
}

let whole: IpBench;
let counted: () => Record<string, number>;
beforeAll(async () => {
  whole = await bench('ethernet-input');
});
beforeEach(() => {
  whole.clock += 10_000;
  counted = counter(whole);
});

function send(bytes: Uint8Array): SentPacket[] {
  return whole.bench.inject(bytes).run();
}

const big = (bytes: number) => new Uint8Array(bytes).map((_, i) => i * 7);
const after = (bytes: Uint8Array, header = 14) => bytes.slice(header);
const ipOf = after;

describe('errors', () => {
  const v4 = (fields: object, ...rest: Parameters<typeof packet>) =>
    packet(ether, ip4({ ...flow, ...fields }), ...rest);
  const v6 = (fields: object, ...rest: Parameters<typeof packet>) =>
    packet(ether, ip6({ ...flow6, ...fields }), ...rest);
  const padding = { type: 60, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) };

  it.each<[string, Uint8Array, object, string]>([
    ['TTL 1', v4({ ttl: 1, id: 7, tos: 8 }, udp({ dport: 2 }), 'data'), { type: 11 }, 'ip4-rewrite: ttl expired'],
    ['TTL 0', v4({ ttl: 0 }, udp({ dport: 2 }), 'data'), { type: 11 }, 'ip4-input: ttl expired'],
    [
      'TTL 1 with options',
      v4({ ttl: 1, options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0) }, udp(), 'data'),
      { type: 11 },
      'ip4-rewrite: ttl expired',
    ],
    ['TTL 1 of a first fragment', v4({ ttl: 1, mf: true }, udp(), big(16)), { type: 11 }, 'ip4-rewrite: ttl expired'],
    ['TTL 1 of an echo request', v4({ ttl: 1 }, icmp4({ type: 8 }), 'ping'), { type: 11 }, 'ip4-rewrite: ttl expired'],
    ['too big with DF', v4({ df: true }, udp(), big(1473)), { type: 3, code: 4, rest: 1500 }, 'ip4-rewrite: too big'],
  ])('IPv4, %s', (_name, bytes, fields, why) => {
    const [sent, ...others] = send(bytes);
    expect(others).toEqual([]);
    expect([sent!.node, sent!.tx]).toEqual(['interface-output', 0]);
    const quoted = ipOf(bytes).slice(0, 576 - 28);
    expectPacket(
      sent!.bytes,
      ethernet({ src: OUR_MAC(0), dst: THEIR_MAC, type: 0x800 }),
      ip4({ src: '10.0.0.1', dst: flow.src, ttl: 255, tos: 0, id: 0, df: false, length: 28 + quoted.length }),
      icmp4({ code: 0, rest: 0, ...fields }),
      quoted,
    );
    expect(counted()).toEqual({ [why]: 1, 'ip4-icmp-error: sent': 1 });
  });

  it.each<[string, Uint8Array, object, string]>([
    ['hop limit 1', v6({ hopLimit: 1, trafficClass: 9 }, udp(), 'data'), { type: 3 }, 'ip6-rewrite: ttl expired'],
    ['hop limit 0', v6({ hopLimit: 0 }, udp(), 'data'), { type: 3 }, 'ip6-input: hop limit exceeded'],
    ['too big', v6({}, udp(), big(1453)), { type: 2, rest: 1500 }, 'ip6-rewrite: too big'],
    [
      'too big with extension headers',
      v6({ extensions: [padding, fragmentExtension(1, 0, true)] }, udp(), big(1441)),
      { type: 2, rest: 1500 },
      'ip6-rewrite: too big',
    ],
    [
      'too big of a later fragment',
      v6({ extensions: [fragmentExtension(1, 1480, true)], protocol: 17 }, big(1464)),
      { type: 2, rest: 1500 },
      'ip6-rewrite: too big',
    ],
    [
      'hop limit 1 of an echo request',
      v6({ hopLimit: 1 }, icmp6({ type: 128 })),
      { type: 3 },
      'ip6-rewrite: ttl expired',
    ],
  ])('IPv6, %s', (_name, bytes, fields, why) => {
    const [sent, ...others] = send(bytes);
    expect(others).toEqual([]);
    expect([sent!.node, sent!.tx]).toEqual(['interface-output', 0]);
    const quoted = ipOf(bytes).slice(0, 1280 - 48);
    expectPacket(
      sent!.bytes,
      ethernet({ src: OUR_MAC(0), dst: THEIR_MAC, type: 0x86dd }),
      ip6({ src: 'fd00::1', dst: flow6.src, hopLimit: 255, trafficClass: 0, flowLabel: 0 }),
      icmp6({ code: 0, rest: 0, ...fields }),
      quoted,
    );
    expect(counted()).toEqual({ [why]: 1, 'ip6-icmp-error: sent': 1 });
  });

  it('have the very bytes that scapy gives them', () => {
    const packets = [
      v4({ ttl: 1, id: 7 }, udp({ dport: 2 }), 'odd'),
      v4({ ttl: 1 }, udp(), big(1000)),
      v4({ df: true }, udp(), big(1600)),
      v6({ hopLimit: 1 }, udp(), 'odd'),
      v6({}, udp(), big(1600)),
    ];
    const sent = packets.map((bytes) => hex(ipOf(send(bytes)[0]!.bytes)));
    const expected = scapy<string[]>(
      `
out = []
for kind, text in input:
    quoted = bytes.fromhex(text)
    if kind == 'ttl4': p = IP(src='10.0.0.1', dst='9.9.9.9', ttl=255, id=0) / ICMP(type=11) / Raw(quoted[:548])
    if kind == 'big4': p = IP(src='10.0.0.1', dst='9.9.9.9', ttl=255, id=0) / ICMP(type=3, code=4, nexthopmtu=1500) / Raw(quoted[:548])
    if kind == 'ttl6': p = IPv6(src='fd00::1', dst='2001:db8::9', hlim=255) / ICMPv6TimeExceeded() / Raw(quoted[:1232])
    if kind == 'big6': p = IPv6(src='fd00::1', dst='2001:db8::9', hlim=255) / ICMPv6PacketTooBig(mtu=1500) / Raw(quoted[:1232])
    out.append(bytes(p).hex())`,
      ['ttl4', 'ttl4', 'big4', 'ttl6', 'big6'].map((kind, i) => [kind, hex(ipOf(packets[i]!))]),
    );
    expect(sent).toEqual(expected);
  });

  it('about packets of any length have right checksums', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1400 }), fc.boolean(), (payload, six) => {
        whole.clock += 100;
        const bytes = six ? v6({ hopLimit: 1 }, udp(), payload) : v4({ ttl: 1 }, udp(), payload);
        const [sent] = send(bytes);
        if (six) expectPacket(sent!.bytes, ethernet(), ip6(), icmp6({ type: 3 }), ipOf(bytes).slice(0, 1232));
        else expectPacket(sent!.bytes, ethernet(), ip4(), icmp4({ type: 11 }), ipOf(bytes).slice(0, 548));
      }),
      { numRuns: 100 },
    );
  });

  it('are sent at a limited rate (RFC 4443, section 2.4 f)', () => {
    for (let i = 0; i < 300; i++) {
      whole.bench.inject(v4({ ttl: 1 }, udp(), 'data'));
      whole.bench.inject(v6({ hopLimit: 1 }, udp(), 'data'));
    }
    expect(whole.bench.run()).toHaveLength(200);
    expect(counted()).toEqual({
      'ip4-rewrite: ttl expired': 300,
      'ip6-rewrite: ttl expired': 300,
      'ip4-icmp-error: sent': 100,
      'ip6-icmp-error: sent': 100,
      'ip4-icmp-error: too many': 200,
      'ip6-icmp-error: too many': 200,
    });
    whole.clock += 7;
    for (let i = 0; i < 20; i++) whole.bench.inject(v4({ ttl: 1 }, udp(), 'data'));
    expect(whole.bench.run()).toHaveLength(7);
    expect(freeBuffers(whole).count).toBe(1024);
  });

  it('are sent at the rate that is configured, or not at all', async () => {
    const sentOf = async (perSecond: number, burst: number) => {
      const ip = await bench('ethernet-input', { icmpErrors: { perSecond, burst } });
      for (let i = 0; i < 10; i++) ip.bench.inject(v4({ ttl: 1 }, udp(), 'data'));
      const first = ip.bench.run().length;
      ip.clock += 2500;
      for (let i = 0; i < 10; i++) ip.bench.inject(v4({ ttl: 1 }, udp(), 'data'));
      return [first, ip.bench.run().length];
    };
    expect(await sentOf(1, 5)).toEqual([5, 2]);
    expect(await sentOf(0, 0)).toEqual([0, 0]);
    await expect(sentOf(-1, 5)).rejects.toThrow('ICMP errors: perSecond -1 must be from 0 to 1000000');
    await expect(sentOf(1, 1.5)).rejects.toThrow(expect.objectContaining({ code: 'LBD_FIB_OPTION' }));
  });

  it('are not sent from an interface without an address', async () => {
    const ip = await bench('ethernet-input');
    setAddress(ip, 0, '0.0.0.0', '::');
    const more = counter(ip);
    ip.bench.inject(v4({ ttl: 1 }, udp())).inject(v6({ hopLimit: 1 }, udp()));
    expect(ip.bench.run()).toEqual([]);
    expect(more()).toEqual({
      'ip4-rewrite: ttl expired': 1,
      'ip6-rewrite: ttl expired': 1,
      'ip4-icmp-error: no address': 1,
      'ip6-icmp-error: no address': 1,
    });
  });

  it('that fit no link of the way back go in fragments', () => {
    const link = (mtu: number) => ({
      kind: 'link' as const,
      before: undefined,
      now: { ifindex: 10, name: 'eth0', mac: OUR_MAC(0), mtu, up: true, carrier: true },
    });
    whole.routes.apply(link(300));
    const sent = send(v4({ ttl: 1 }, udp(), big(1000)));
    expect(sent.map(({ bytes }) => bytes.length - 14)).toEqual([300, 296]);
    whole.routes.apply(link(1500));
  });
});

describe('errors are never sent', () => {
  let four: IpBench;
  let six: IpBench;
  beforeAll(async () => {
    [four, six] = [await bench('ip4-icmp-error'), await bench('ip6-icmp-error')];
  });
  const asked =
    (type: number, l4: number, protocol: number, flags = 0) =>
    (p: PacketView) => {
      p.opaque = type << 24;
      p.l4 = l4;
      p.protocol = protocol;
      p.flags = flags;
    };
  const refused = (ip: IpBench, bytes: Uint8Array, prepare: (p: PacketView) => void): number => {
    ip.clock += 1000;
    const more = counter(ip);
    const { length } = ip.bench.inject(bytes, 0, prepare).run();
    const [, family] = /(ip.)-icmp-error: not allowed/.exec(Object.keys(more()).join()) ?? [];
    expect(length).toBe(family ? 0 : 1);
    return 1 - length;
  };

  it('about ICMP errors (RFC 1122, section 3.2.2), but about other ICMP', () => {
    const types = Array.from({ length: 256 }, (_, type) => type);
    const kept = types.filter((type) => refused(four, packet(ip4(flow), icmp4({ type }), 'x'), asked(11, 20, 1)));
    expect(kept).toEqual([3, 4, 5, 11, 12]);
  });
  it('about ICMPv6 errors and redirects (RFC 4443, section 2.4 e.1, e.2), but about other ICMPv6', () => {
    const types = Array.from({ length: 256 }, (_, type) => type);
    const kept = types.filter((type) => refused(six, packet(ip6(flow6), icmp6({ type }), 'x'), asked(3, 40, 58)));
    expect(kept).toEqual([...types.slice(0, 128), 137]);
  });
  it('about ICMP that is cut off before its type', () => {
    expect(refused(four, packet(ip4({ ...flow, protocol: 1 })), asked(11, 20, 1))).toBe(1);
    expect(refused(six, packet(ip6({ ...flow6, protocol: 58 })), asked(3, 40, 58))).toBe(1);
  });
  it('about later fragments; over IPv6, where only ICMPv6 may not be answered, about those of ICMPv6', () => {
    const later = packet(ip4({ ...flow, protocol: 17, fragmentOffset: 8 }), 'x');
    expect(refused(four, later, asked(11, 20, 255, FLAG_LATER_FRAGMENT))).toBe(1);
    const later6 = (protocol: number) =>
      packet(ip6({ ...flow6, protocol, extensions: [fragmentExtension(1, 8, false)] }), 'x');
    expect(refused(six, later6(58), asked(3, 48, 255, FLAG_LATER_FRAGMENT))).toBe(1);
    expect(refused(six, later6(17), asked(3, 48, 255, FLAG_LATER_FRAGMENT))).toBe(0);
    const first = packet(ip4({ ...flow, mf: true }), udp(), 'x');
    expect(refused(four, first, asked(11, 20, 17, FLAG_FIRST_FRAGMENT))).toBe(0);
  });
  it.each(['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255'])(
    'to %s, which is no single host',
    (src) => expect(refused(four, packet(ip4({ ...flow, src }), udp()), asked(11, 20, 17))).toBe(1),
  );
  it.each(['::', '::1', 'ff02::1'])('to %s, which is no single host', (src) =>
    expect(refused(six, packet(ip6({ ...flow6, src }), udp()), asked(3, 40, 17))).toBe(1),
  );
  it('about packets to groups, but that they are too big over IPv6 (RFC 4443, section 2.4 e.3)', () => {
    for (const dst of ['224.0.0.5', '255.255.255.255']) {
      expect(refused(four, packet(ip4({ ...flow, dst }), udp()), asked(11, 20, 17))).toBe(1);
    }
    const group = packet(ip6({ ...flow6, dst: 'ff0e::5' }), udp());
    expect(refused(six, group, asked(3, 40, 17))).toBe(1);
    expect(refused(six, group, asked(2, 40, 17))).toBe(0);
  });
});

describe('packets made here', () => {
  it('are told of in traces, from the packet that they are about', () => {
    whole.bench.runtime.tracer.add(1);
    send(packet(ether, ip4({ ...flow, ttl: 1 }), udp({ sport: 1, dport: 2 })));
    const [trace] = whole.bench.runtime.tracer.take();
    expect(trace!.steps.map(({ text }) => text).slice(3, 7)).toEqual([
      'ip4-lookup: adjacency 2',
      'ip4-rewrite: not sent, ip4 9.9.9.9 > 10.1.0.2 udp ttl 1 length 28 / udp 1 > 2 length 8',
      'ip4-icmp-error: ip4 10.0.0.1 > 9.9.9.9 icmp4 ttl 255 length 56 / icmp4 time exceeded code 0 / 28 bytes',
      'ip4-lookup: adjacency 0',
    ]);
  });

  it('have the Ethernet header in front that the packet came with, should they be punted', () => {
    connect(whole.routes, '9.8.0.0/16', 7);
    connect(whole.routes, '2001:db8:8::/48', 7);
    const punted = [
      packet(ether, ip4({ ...flow, src: '9.8.0.1', ttl: 1 }), udp(), big(1000)),
      packet(ether, ip6({ ...flow6, src: '2001:db8:8::1', hopLimit: 1 }), udp(), big(1300)),
    ].map((bytes) => {
      let at = 0;
      whole.bench.inject(bytes, 0, (p) => {
        at = p.address;
      });
      const [sent] = whole.bench.run();
      expect(sent!.node).toBe('punt');
      return whole.bench.arena.memory.u8.slice(at, at + 14 + sent!.bytes.length);
    });
    expectPacket(punted[0]!, ether, ip4({ src: '10.0.0.1', dst: '9.8.0.1' }), icmp4({ type: 11 }));
    expectPacket(punted[1]!, ether, ip6({ src: 'fd00::1', dst: '2001:db8:8::1' }), icmp6({ type: 3 }));
  });
});

describe('echo requests', () => {
  let four: IpBench;
  let six: IpBench;
  beforeAll(async () => {
    [four, six] = [await bench('ip4-icmp-echo-request'), await bench('ip6-icmp-echo-request')];
  });
  const came =
    (l4: number, protocol: number, flags = 0) =>
    (p: PacketView) => {
      p.l4 = l4;
      p.protocol = protocol;
      p.flags = flags;
      p.hash = 77;
    };
  const ping = { id: 7, sequence: 9 };

  it('are answered over IPv4: addresses changed round, without options, and right', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 1400 }),
        fc.uint8Array({ maxLength: 40 }),
        fc.boolean(),
        (data, options, df) => {
          const l4 = 20 + Math.ceil(options.length / 4) * 4;
          const request = packet(
            ip4({ ...flow, dst: '90.0.0.1', id: 5, tos: 8, df, ttl: 3, options }),
            icmp4({ type: 8, ...ping }),
            data,
          );
          const [sent] = four.bench.inject(request, 0, came(l4, 1)).run();
          expectPacket(
            sent!.bytes,
            ethernet(),
            ip4({
              src: '90.0.0.1',
              dst: flow.src,
              ttl: 64,
              id: 5,
              tos: 8,
              df,
              length: 28 + data.length,
              options: new Uint8Array(),
            }),
            icmp4({ type: 0, code: 0, ...ping }),
            data,
          );
          expect(sent!.hash).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('are answered over IPv6, without extension headers', () => {
    const pad = { type: 60, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1400 }), fc.boolean(), (data, extended) => {
        const extensions = extended ? [pad] : [];
        const fields = { ...flow6, dst: 'fd90::1', trafficClass: 0xb8, flowLabel: 0x12345, hopLimit: 3, extensions };
        const request = packet(ip6(fields), icmp6({ type: 128, ...ping }), data);
        const [sent] = six.bench.inject(request, 0, came(extended ? 48 : 40, 58)).run();
        expectPacket(
          sent!.bytes,
          ethernet(),
          ip6({ src: 'fd90::1', dst: flow6.src, hopLimit: 64, trafficClass: 0xb8, flowLabel: 0, extensions: [] }),
          icmp6({ type: 129, code: 0, ...ping }),
          data,
        );
      }),
      { numRuns: 100 },
    );
  });

  it('are answered as scapy would', () => {
    const replies = [
      four.bench.inject(packet(ip4({ ...flow, id: 5 }), icmp4({ type: 8, ...ping }), 'odd'), 0, came(20, 1)).run(),
      six.bench.inject(packet(ip6(flow6), icmp6({ type: 128, ...ping }), 'odd'), 0, came(40, 58)).run(),
    ].map(([sent]) => ipOf(sent!.bytes));
    const expected = scapy<string[]>(`out = [
      bytes(IP(src='10.1.0.2', dst='9.9.9.9', ttl=64, id=5) / ICMP(type=0, id=7, seq=9) / b'odd').hex(),
      bytes(IPv6(src='fd01::2', dst='2001:db8::9', hlim=64) / ICMPv6EchoReply(id=7, seq=9, data=b'odd')).hex(),
    ]`);
    expect(replies).toEqual(expected.map(unhex));
  });

  it('that are damaged stay damaged', () => {
    const request = packet(ip4(flow), icmp4({ type: 8, ...ping, checksum: 0x1234 }), 'data');
    const [sent] = four.bench.inject(request, 0, came(20, 1)).run();
    expect(() => expectPacket(sent!.bytes, ethernet(), ip4(), icmp4())).toThrow('bad checksum');
  });

  it('are not seen in fragments, other ICMP, other protocols, or where they are cut short', () => {
    const request = packet(ip4(flow), icmp4({ type: 8, ...ping }), 'data');
    const request6 = packet(ip6(flow6), icmp6({ type: 128, ...ping }), 'data');
    const other = counter(four);
    const other6 = counter(six);
    for (const [bytes, prepare] of [
      [request, came(20, 1, FLAG_FIRST_FRAGMENT)],
      [request, came(20, 255, FLAG_LATER_FRAGMENT)],
      [request, came(20, 17)],
      [request.slice(0, 27), came(20, 1)],
      [packet(ip4(flow), icmp4({ type: 0 })), came(20, 1)],
      [packet(ip4(flow), icmp4({ type: 8, code: 1 })), came(20, 1)],
    ] as const) {
      four.bench.inject(bytes, 0, prepare);
    }
    for (const [bytes, prepare] of [
      [request6, came(40, 58, FLAG_FIRST_FRAGMENT)],
      [request6, came(40, 255, FLAG_LATER_FRAGMENT)],
      [request6, came(40, 17)],
      [request6.slice(0, 47), came(40, 58)],
      [packet(ip6(flow6), icmp6({ type: 129 })), came(40, 58)],
      [packet(ip6(flow6), icmp6({ type: 128, code: 1 })), came(40, 58)],
    ] as const) {
      six.bench.inject(bytes, 0, prepare);
    }
    expect([four.bench.run(), six.bench.run()]).toEqual([[], []]);
    expect(other()).toEqual({ 'ip4-icmp-echo-request: not a request': 6 });
    expect(other6()).toEqual({ 'ip6-icmp-echo-request: not a request': 6 });
  });
});
