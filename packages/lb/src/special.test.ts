import type { SentPacket } from '@lbd/graph/testing';
import { addressBytes, expectPacket, fragmentExtension, ip4, ip6, packet, udp } from '@lbd/packet';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { asis, FAMILIES, type FamilyWords, flowPacket, reference } from '../test/asis.ts';
import { VIP_MAX_LENGTH, VIP_SHIFT, type VipKey, type VipSpec } from './index.ts';
import { LbBench } from './testing.ts';

const base = { type: 'clusterip', newLen: 1024, srcIpSticky: false } as const;
/** A tunnel: packets stay as they came in it, with 40 bytes around them. */
const tunnel = { overhead: 40, tunnel: { protocols: [47] } };

let bench: LbBench;
beforeEach(async () => {
  const tunnels = ([4, 6] as const).map((family) => asis(family, { name: `tunnel${family}`, ...tunnel }));
  bench = await LbBench.create([asis(4), asis(6), ...tunnels], { sizes: { buckets: 4096 } });
});

interface Kind {
  readonly what: string;
  readonly f: FamilyWords;
  readonly perPort: boolean;
}
const KINDS: Kind[] = FAMILIES.flatMap((f) =>
  [false, true].map((perPort) => ({ what: `${perPort ? 'per-port' : 'all-port'} VIP, IPv${f.family}`, f, perPort })),
);

const keyOf = ({ f, perPort }: Kind): VipKey =>
  perPort ? { prefix: f.prefix, protocol: 'udp', port: 53 } : { prefix: f.prefix };

async function set(kind: Kind, encap = `asis${kind.f.family}`, servers = kind.f.servers): Promise<VipSpec> {
  const vip = { ...base, ...keyOf(kind), encap };
  await bench.lb.addVip(vip);
  await bench.lb.addServers({ vip: keyOf(kind), addresses: servers, flush: false });
  return vip;
}

const node = ({ f, perPort }: Kind) => `lb${f.family}${perPort ? '-port' : ''}`;
const used = () => bench.lb.summary().sticky[0]!.used;
/** Last byte of the server's address: the bench names ways so. */
const serverOf = ({ dpo }: SentPacket) => dpo & 0xffffff;
const expected = (f: FamilyWords, n: number) => 1 + reference(f, n, f.servers);
const one = (bytes: Uint8Array, rx = 0): SentPacket => {
  const out = bench.send([bytes], rx);
  expect(out).toHaveLength(1);
  return out[0]!;
};
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The ICMP error of the first interface about a packet, and what it quotes. */
function errorAbout(f: FamilyWords, out: SentPacket, n: number, type: number, code: number, rest?: number): Uint8Array {
  expect(out.node).toBe('sink');
  const fields = { type, code, ...(rest === undefined ? {} : { rest }) };
  const layers = expectPacket(out.bytes, f.ip({ src: f.own, dst: f.client(n) }), f.icmp(fields));
  return layers[1]!.payload;
}

describe.each(FAMILIES.map((f) => ({ what: `IPv${f.family}`, f, perPort: false })))(
  'the size of packets, $what',
  (kind) => {
    const { f } = kind;
    const header = f.family === 4 ? 28 : 48;

    it('that each server’s way takes is told to the client', async () => {
      bench.route(f.servers[1]!, (3 << 24) | 2, 1400);
      await set(kind);
      for (let n = 0; n < 40; n++) {
        const mtu = expected(f, n) === 2 ? 1400 : 1500;
        expect(serverOf(one(flowPacket(f, n, { bytes: mtu - header, df: true })))).toBe(expected(f, n));
        const big = flowPacket(f, n, { bytes: mtu - header + 1, df: true });
        const quoted = f.family === 4 ? errorAbout(f, one(big), n, 3, 4, mtu) : errorAbout(f, one(big), n, 2, 0, mtu);
        // as it came
        expect(hex(big).startsWith(hex(quoted))).toBe(true);
        expect(quoted.length).toBeGreaterThanOrEqual(f.family === 4 ? 28 : 1000);
      }
      expect(bench.bench.counters(node(kind))).toEqual({ 'too big': 40 });
    });

    it('is less by what the encap puts around them', async () => {
      await set(kind, `tunnel${f.family}`);
      expect(serverOf(one(flowPacket(f, 1, { bytes: 1460 - header, df: true })))).toBe(expected(f, 1));
      const big = flowPacket(f, 1, { bytes: 1461 - header, df: true });
      if (f.family === 4) errorAbout(f, one(big), 1, 3, 4, 1460);
      else errorAbout(f, one(big), 1, 2, 0, 1460);
    });

    it('follows the ways', async () => {
      await set(kind);
      const bytes = flowPacket(f, 3, { bytes: 1450 - header, df: true });
      expect(serverOf(one(bytes))).toBe(expected(f, 3));
      for (const [i, address] of f.servers.entries()) bench.route(address, (3 << 24) | (i + 1), 1440);
      errorAbout(f, one(bytes), 3, f.family === 4 ? 3 : 2, f.family === 4 ? 4 : 0, 1440);
      for (const [i, address] of f.servers.entries()) bench.route(address, (3 << 24) | (i + 1), 1450);
      expect(serverOf(one(bytes))).toBe(expected(f, 3));
      await bench.lb.addServers({
        vip: keyOf(kind),
        addresses: [f.servers[0]!.replace(/1$/, '9')],
        weight: 0,
        flush: false,
      });
      expect(serverOf(one(bytes))).toBe(expected(f, 3));
    });

    it('makes packets unusual only beyond the least of the ways', async () => {
      const vip = await set(kind);
      const at = bench.handles.vips + (bench.lb.vips()[0]!.index << VIP_SHIFT) + VIP_MAX_LENGTH;
      const least = () => bench.arena.memory.u16[at >>> 1];
      expect(least()).toBe(1500);
      bench.route(f.servers[1]!, (3 << 24) | 2, 1400);
      expect(least()).toBe(1400);
      bench.route(f.servers[2]!, (3 << 24) | 3, 1300);
      expect(least()).toBe(1300);
      bench.route(f.servers[2]!, (3 << 24) | 3, 1450);
      expect(least()).toBe(1400);
      await bench.lb.deleteServers({ vip, addresses: [f.servers[1]!], flush: false });
      expect(least()).toBe(1450);
      await bench.lb.deleteServers({ vip, addresses: f.servers.filter((_, i) => i !== 1), flush: false });
      expect(least()).toBe(0);
    });

    it('does not hide that they are of a flow', async () => {
      await set(kind);
      const flow = { df: true, bytes: 1500 - header };
      bench.send([1, 2, 3].map((more) => flowPacket(f, 1, { ...flow, bytes: flow.bytes + more })));
      bench.send([flowPacket(f, 1, flow)]);
      expect(bench.lb.vips()[0]!.counters).toEqual({ firstSession: 1, existingSessions: 3, untracked: 0, noServer: 0 });
    });

    it('is no matter while there is no server', async () => {
      await set(kind);
      await bench.lb.deleteServers({ vip: keyOf(kind), addresses: f.servers, flush: true });
      expect(bench.send([flowPacket(f, 1, { bytes: 1400 })])).toHaveLength(0);
      expect(bench.bench.counters(node(kind))).toEqual({ 'no server configured': 1 });
      await bench.lb.addServers({ vip: keyOf(kind), addresses: f.servers, flush: false });
      expect(serverOf(one(flowPacket(f, 1, { bytes: 1400 })))).toBe(expected(f, 1));
    });
  },
);

describe('IPv4 packets that may be fragmented', () => {
  const kind = KINDS[0]!;
  const { f } = kind;

  it('come to one server in fragments that fit', async () => {
    bench.mtu = 600;
    await set(kind);
    for (let n = 0; n < 10; n++) {
      const bytes = flowPacket(f, n, { bytes: 1400 });
      bench.bench.inject(bytes, 0);
      const out: SentPacket[] = [];
      for (let breath = 0; breath < 20; breath++) {
        bench.bench.runtime.breathe();
        out.push(...bench.bench.run());
      }
      expect(out.length).toBe(3);
      expect(new Set(out.map(serverOf))).toEqual(new Set([expected(f, n)]));
      const payload = Buffer.alloc(1408);
      for (const piece of out) {
        expect(piece.bytes.length).toBeLessThanOrEqual(600);
        const word = (piece.bytes[6]! << 8) | piece.bytes[7]!;
        payload.set(piece.bytes.subarray(20), (word & 0x1fff) * 8);
      }
      expect(payload.toString('hex')).toBe(hex(bytes.subarray(20)));
    }
    expect(bench.bench.counters('lb4')).toMatchObject({ fragmented: 10 });
  });

  it('are dropped and counted where no fragments are wanted', async () => {
    bench.mtu = 600;
    await set(kind);
    await bench.lb.lbConf({ fragment: false });
    expect(bench.send([flowPacket(f, 1, { bytes: 1400 })])).toHaveLength(0);
    expect(bench.bench.counters('lb4')).toEqual({ 'not fragmented': 1 });
    await bench.lb.lbConf({ fragment: true });
    bench.send([flowPacket(f, 1, { bytes: 1400 })]);
    expect(bench.bench.counters('lb4')).toMatchObject({ fragmented: 1 });
  });
});

describe.each(KINDS)('packets that have run too far: $what', (kind) => {
  const { f } = kind;
  const timeExceeded = f.family === 4 ? 11 : 3;

  it('are answered, quoted as they came, and make no flow known', async () => {
    await set(kind);
    const last = flowPacket(f, 5, { ttl: 1, bytes: 64 });
    const quoted = errorAbout(f, one(last), 5, timeExceeded, 0);
    expect(hex(last).startsWith(hex(quoted))).toBe(true);
    expect(used()).toBe(0);
    expect(bench.bench.counters(node(kind))).toEqual({ 'ttl expired': 1 });
    const enough = flowPacket(f, 5, { ttl: 2, bytes: 64 });
    expect(hex(one(enough).bytes)).toBe(hex(enough));
  });

  it('are carried in tunnels', async () => {
    await set(kind, `tunnel${f.family}`);
    const last = flowPacket(f, 5, { ttl: 1, bytes: 64 });
    const out = one(last);
    expect(serverOf(out)).toBe(expected(f, 5));
    expect(hex(out.bytes)).toBe(hex(last));
  });
});

describe.each(KINDS)('ping: $what', (kind) => {
  const { f, perPort } = kind;
  const request = (dst: string) =>
    packet(f.ip({ src: f.client(1), dst }), f.icmp({ type: f.echo, code: 0, id: 77, sequence: 3 }), 'is it there?');

  it(perPort ? 'is answered' : 'goes to a server', async () => {
    await set(kind);
    for (const dst of [f.vip, f.other]) {
      const out = one(request(dst));
      if (perPort) {
        const reply = f.icmp({ type: f.echoReply, code: 0, id: 77, sequence: 3 });
        expectPacket(out.bytes, f.ip({ src: dst, dst: f.client(1) }), reply, 'is it there?');
      } else expect(hex(out.bytes)).toBe(hex(request(dst)));
    }
    expect(used()).toBe(perPort ? 0 : 2);
  });

  it('of other kinds is the kernel’s, on a per-port VIP', async () => {
    await set(kind);
    const other = packet(f.ip({ src: f.client(1), dst: f.vip }), f.icmp({ type: f.echoReply, code: 0 }), 'unasked');
    expect(one(other).node).toBe(perPort ? 'punt' : 'sink');
    const short = packet(f.ip({ src: f.client(1), dst: f.vip }), f.icmp({ type: f.echo, code: 0 })).subarray(0, -5);
    const { length } = short;
    if (f.family === 4) {
      const fixed = packet(ip4({ src: f.client(1), dst: f.vip, protocol: 1 }), short.subarray(20));
      expect(one(fixed).node).toBe(perPort ? 'punt' : 'sink');
    } else {
      const fixed = packet(ip6({ src: f.client(1), dst: f.vip, protocol: 58 }), short.subarray(40, length));
      expect(one(fixed).node).toBe(perPort ? 'punt' : 'sink');
    }
  });
});

describe.each(KINDS)('ICMP errors: $what', (kind) => {
  const { f, perPort } = kind;
  /** What the server of flow n sends to its client. */
  const reply = (n: number, src = f.vip, sport = 53) =>
    packet(f.ip({ src, dst: f.client(n) }), udp({ sport, dport: 1024 + n }), 'a reply that is too long for the way');
  const error = (type: number, about: Uint8Array, dst = f.vip) =>
    packet(f.ip({ src: f.router, dst }), f.icmp({ type, code: 0 }), about);

  it('reach the server of the flow that they are about, known or not, and make none known', async () => {
    await set(kind);
    const known = Array.from({ length: 30 }, (_, n) => serverOf(one(flowPacket(f, n))));
    await bench.lb.addServers({ vip: keyOf(kind), addresses: [f.servers[0]!.replace(/1$/, '9')], flush: false });
    await bench.lb.setWeight({ vip: keyOf(kind), address: f.servers[1]!, weight: 0, flush: false });
    const before = used();
    const vip = bench.lb.vips()[0]!.counters;
    for (const type of f.errors) {
      for (let n = 0; n < 30; n++) {
        const bytes = error(type, reply(n));
        const out = one(bytes);
        expect(serverOf(out)).toBe(known[n]);
        expect(hex(out.bytes)).toBe(hex(bytes));
      }
    }
    // Flows of before a restart, say: where the new-flow table has them.
    await bench.lb.setWeight({ vip: keyOf(kind), address: f.servers[1]!, weight: 100, flush: false });
    const five = [...f.servers, f.servers[0]!.replace(/1$/, '9')];
    for (let n = 100; n < 130; n++) {
      const last = addressBytes(five[reference(f, n, five)]!).at(-1);
      expect(serverOf(one(error(f.errors[0]!, reply(n))))).toBe(last);
    }
    expect(used()).toBe(before);
    expect(bench.lb.vips()[0]!.counters).toEqual(vip);
    expect(bench.bench.counters(node(kind))).toEqual({ 'icmp errors': f.errors.length * 30 + 30 });
  });

  it('about other packets are the kernel’s, on a per-port VIP', async () => {
    await set(kind);
    const redirect = f.family === 4 ? 5 : 137;
    const others = [
      error(f.errors[0]!, reply(1, f.vip, 99)),
      error(f.errors[0]!, reply(1, f.other)), // came to another address than it is about
      error(f.errors[0]!, reply(1).subarray(0, f.family === 4 ? 22 : 42)),
      error(redirect, reply(1)),
      error(f.errors[0]!, new Uint8Array(4)),
    ];
    const out = others.map((bytes) => one(bytes));
    // A VIP of all ports sends every protocol to a server; one of a port has no ports to go by.
    if (!perPort) expect(out.map((sent) => sent.node)).toEqual(others.map(() => 'sink'));
    else {
      expect(out.map((sent) => sent.node)).toEqual(others.map(() => 'punt'));
      expect(bench.bench.counters(node(kind))).toEqual({});
      expect(used()).toBe(0);
    }
    expect(out.map(({ bytes }) => hex(bytes))).toEqual(others.map(hex));
  });

  it('about a later fragment, which has no ports, are about no flow', async () => {
    await set(kind);
    const quoted =
      f.family === 4
        ? packet(ip4({ src: f.vip, dst: f.client(1), protocol: 17, fragmentOffset: 800 }), 'payload')
        : packet(
            ip6({ src: f.vip, dst: f.client(1), protocol: 17, extensions: [fragmentExtension(1, 800, false)] }),
            'payload',
          );
    const out = one(error(f.errors[0]!, quoted));
    if (perPort) expect(out.node).toBe('punt');
    // As any other packet of that protocol from the router.
    else
      expect(serverOf(out)).toBe(
        serverOf(one(packet(f.ip({ src: f.router, dst: f.vip }), f.icmp({ type: 200, code: 0 })))),
      );
    expect(bench.bench.counters(node(kind))).toEqual({});
  });

  it('go by addresses alone where flows do', async () => {
    await bench.lb.addVip({ ...base, ...keyOf(kind), encap: `asis${f.family}`, srcIpSticky: true });
    await bench.lb.addServers({ vip: keyOf(kind), addresses: f.servers, flush: false });
    for (let n = 0; n < 20; n++) {
      const server = serverOf(one(flowPacket(f, n)));
      expect(serverOf(one(error(f.errors[0]!, reply(n))))).toBe(server);
    }
  });

  it('are found by the keyed hash, too', async () => {
    await bench.lb.lbConf({ flowHash: 'keyed' });
    await set(kind);
    for (let n = 0; n < 20; n++) {
      const server = serverOf(one(flowPacket(f, n)));
      expect(serverOf(one(error(f.errors[0]!, reply(n))))).toBe(server);
    }
  });
});

describe('a vector of all kinds of packets', () => {
  const kinds: [string, (f: FamilyWords, n: number) => Uint8Array][] = [
    ['usual', (f, n) => flowPacket(f, n)],
    ['usual', (f, n) => flowPacket(f, n)],
    ['to another address', (f, n) => flowPacket(f, n, { dst: f.other })],
    ['to another port', (f, n) => flowPacket(f, n, { dport: 54 })],
    ['TCP', (f, n) => flowPacket(f, n, { protocol: 'tcp' })],
    ['too big', (f, n) => flowPacket(f, n, { bytes: 1460, df: true })],
    ['run too far', (f, n) => flowPacket(f, n, { ttl: 1 })],
    ['ping', (f, n) => packet(f.ip({ src: f.client(n), dst: f.vip }), f.icmp({ type: f.echo, code: 0 }), 'x')],
    ['without ports', (f, n) => without(f, n)],
    ['with options', (f, n) => optional(f, n)],
  ];
  const without = (f: FamilyWords, n: number) =>
    f.family === 4
      ? packet(ip4({ src: f.client(n), dst: f.vip, protocol: 17 }), 'ab')
      : packet(ip6({ src: f.client(n), dst: f.vip, protocol: 17 }), 'ab');
  const optional = (f: FamilyWords, n: number) =>
    f.family === 4
      ? packet(
          ip4({ src: f.client(n), dst: f.vip, options: new Uint8Array(8).fill(1) }),
          udp({ sport: 1024 + n, dport: 53 }),
        )
      : packet(
          ip6({ src: f.client(n), dst: f.vip, extensions: [{ type: 60, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) }] }),
          udp({ sport: 1024 + n, dport: 53 }),
        );

  it.each(KINDS)('fares as each of them alone: $what', async (kind) => {
    const { f } = kind;
    bench.route(f.servers[1]!, (3 << 24) | 2, 1400);
    await set(kind);
    const words = ({ node, bytes, dpo }: SentPacket) => `${node} ${dpo & 0xffffff} ${hex(bytes)}`;
    fc.assert(
      fc.property(
        fc.array(fc.record({ k: fc.nat(kinds.length - 1), n: fc.nat(12) }), { minLength: 1, maxLength: 60 }),
        (list) => {
          // time for ICMP errors to be allowed again
          bench.now += 1000;
          const packets = list.map(({ k, n }) => kinds[k]![1](f, n));
          const together = bench.send(packets).map(words).sort();
          bench.now += 1000;
          const alone = packets
            .flatMap((bytes) => bench.send([bytes]))
            .map(words)
            .sort();
          expect(together).toEqual(alone);
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(KINDS)('options and extension headers hide no ports: $what', async (kind) => {
    const { f } = kind;
    await set(kind);
    for (let n = 0; n < 30; n++) expect(serverOf(one(optional(f, n)))).toBe(expected(f, n));
  });
});
