import { dpo } from '@lbd/fib';
import { META_AS, META_LENGTH, METADATA_BYTES, secondsAt, WORKER_FREE_COUNT, WORKER_HELD } from '@lbd/graph';
import type { SentPacket } from '@lbd/graph/testing';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { compileTestKernels, scapy, type TestKernels } from '../../test/test-kernels.ts';
import { HELD_SLOTS } from '../fragment-layout.ts';
import { AS_SHIFT, defineEncap, NODE_PORT_GROUP4, type VipSpec } from '../index.ts';
import { LbBench } from '../testing.ts';

/** Leaves packets as they are: what comes out shows the server that was chosen. */
const asis = (family: 4 | 6) =>
  defineEncap({
    name: `asis${family}`,
    vipFamilies: [family],
    serverFamily: family,
    summary: 'leaves packets as they are',
    overhead: 0,
    vip: { targetPort: 'refused', dscp: 'refused' },
    nodes: (lb) => [
      {
        name: `asis${family}`,
        next: ['drop'],
        fanOut: 'dpo',
        process(context, vector, count, nexts) {
          for (let i = 0; i < count; i++) {
            const p = context.packet(vector[i]!);
            p.dpo = context.memory.u32[(lb.servers + (p.as << AS_SHIFT)) >>> 2]!;
            nexts[i] = 1 + (p.dpo >>> 24);
          }
          return -1;
        },
      },
    ],
  });

const base = { type: 'clusterip', newLen: 1024, srcIpSticky: false } as const;
const VIPS: Record<string, VipSpec> = {
  'all ports, IPv4': { ...base, prefix: '90.0.0.0/8', encap: 'asis4' },
  'one port, IPv4': { ...base, prefix: '80.0.0.0/8', encap: 'asis4', protocol: 'udp', port: 53 },
  'all ports, IPv6': { ...base, prefix: '2001:db8:90::/48', encap: 'asis6' },
  'one port, IPv6': { ...base, prefix: '2001:db8:80::/48', encap: 'asis6', protocol: 'udp', port: 53 },
};
const SERVERS = {
  4: ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'],
  6: ['fd00::1', 'fd00::2', 'fd00::3', 'fd00::4'],
};
const familyOf = (vip: VipSpec) => (vip.prefix.includes(':') ? 6 : 4);
const key = ({ prefix, protocol, port }: VipSpec) =>
  protocol === undefined ? { prefix } : { prefix, protocol, port: port! };

/** Datagrams of flow n to each VIP: whole and small, and in fragments; four fragments each. */
const FLOWS = 12;
const FRAGMENTS = 4;
const EXPRESSIONS: Record<string, (n: number, fragment: string) => string> = {
  'all ports, IPv4': (n) => `IP(src='1.2.3.${n}', dst='90.1.2.3', id=${n}, options=b'\\x01' * ${(n % 3) * 4})`,
  'one port, IPv4': (n) => `IP(src='1.2.3.${n}', dst='80.1.2.3', id=${n})`,
  'all ports, IPv6': (n, fragment) =>
    `IPv6(src='2001:db8:1::${n}', dst='2001:db8:90::1')/IPv6ExtHdrHopByHop()${fragment}`,
  'one port, IPv6': (n, fragment) =>
    `IPv6(src='2001:db8:1::${n}', dst='2001:db8:80::1')${fragment}/IPv6ExtHdrDestOpt()`,
};
const wholes: Record<string, Uint8Array[]> = {};
const fragments: Record<string, Uint8Array[][]> = {};

beforeAll(() => {
  for (const [name, expression] of Object.entries(EXPRESSIONS)) {
    const flows = Array.from({ length: FLOWS }, (_, n) => n);
    const datagram = (n: number, header: string) => `${expression(n, header)}/UDP(sport=${1000 + n * 77}, dport=53)`;
    wholes[name] = scapy(`[${flows.map((n) => `${datagram(n, '')}/b'x'`).join(', ')}]`);
    const cut = flows.map((n) =>
      name.endsWith('6')
        ? `fragment6(${datagram(n, `/IPv6ExtHdrFragment(id=${n})`)}/data[:2000], 600)`
        : `fragment(${datagram(n, '')}/data[:2000], 520)`,
    );
    const packets = scapy(`sum([${cut.join(', ')}], [])`);
    expect(packets).toHaveLength(FLOWS * FRAGMENTS);
    fragments[name] = Array.from({ length: FLOWS }, (_, n) => packets.slice(n * FRAGMENTS, (n + 1) * FRAGMENTS));
  }
});

let bench: LbBench;
beforeEach(async () => {
  bench = await LbBench.create([asis(4), asis(6)]);
  for (const vip of Object.values(VIPS)) {
    await bench.lb.addVip(vip);
    await bench.lb.addServers({ vip: key(vip), addresses: SERVERS[familyOf(vip)], flush: false });
  }
});

/** Sends packets in, one vector or one packet at a time, and lets pass what waits; returns what came out. */
function send(packets: readonly Uint8Array[], oneByOne = false): SentPacket[] {
  const out = oneByOne ? packets.flatMap((packet) => bench.send([packet])) : bench.send(packets);
  return [...out, ...settle()];
}

/** Breathes until all that waits was looked at. */
function settle(): SentPacket[] {
  bench.bench.run();
  for (let i = 0; i < 10; i++) bench.bench.runtime.breathe();
  return [...bench.bench.sent];
}

const word = (offset: number) => bench.arena.memory.u32[(bench.bench.layout.workers[0]!.block + offset) >>> 2]!;
const free = () => word(WORKER_FREE_COUNT);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Says for each packet where it came out. */
function ways(out: readonly SentPacket[]): Map<string, string> {
  return new Map(
    out.map(({ node, dpo: way, bytes }) => [text(bytes), node === 'sink' ? `server ${way & 0xffffff}` : node]),
  );
}

const orders: Record<string, (datagrams: Uint8Array[][]) => Uint8Array[]> = {
  'in order': (datagrams) => datagrams.flat(),
  reversed: (datagrams) => datagrams.flatMap((datagram) => datagram.toReversed()),
  'the last first': (datagrams) => datagrams.flatMap((datagram) => [datagram.at(-1)!, ...datagram.slice(0, -1)]),
  interleaved: (datagrams) => datagrams[0]!.flatMap((_, i) => datagrams.map((datagram) => datagram[i]!)),
  'interleaved, reversed': (datagrams) => orders.interleaved!(datagrams).toReversed(),
};
const cases = Object.keys(VIPS).flatMap((vip) => Object.keys(orders).map((order) => [vip, order] as const));

describe('fragments of a datagram meet at the server of its flow', () => {
  it.each(cases)('%s, %s', (vip, order) => {
    const before = free();
    const expected = wholes[vip]!.map((packet) => ways(send([packet])).get(text(packet)));
    expect(new Set(expected).size).toBeGreaterThan(1);
    for (const oneByOne of [false, true]) {
      const out = ways(send(orders[order]!(fragments[vip]!), oneByOne));
      expect(fragments[vip]!.map((datagram) => datagram.map((bytes) => out.get(text(bytes))))).toEqual(
        expected.map((server) => new Array(FRAGMENTS).fill(server)),
      );
      bench.now += 6000;
    }
    expect(free()).toBe(before);
    expect(word(WORKER_HELD)).toBe(0);
    const { counters } = bench.lb.vips().find(({ prefix }) => prefix === VIPS[vip]!.prefix)!;
    expect(counters).toEqual({
      existingSessions: 2 * FLOWS * FRAGMENTS,
      firstSession: FLOWS,
      untracked: 0,
      noServer: 0,
    });
  });

  it.each(Object.keys(VIPS))('of new flows, too: %s', (vip) => {
    const out = ways(send(orders['interleaved, reversed']!(fragments[vip]!)));
    const servers = wholes[vip]!.map((packet) => ways(send([packet])).get(text(packet)));
    expect(fragments[vip]!.map((datagram) => datagram.map((bytes) => out.get(text(bytes))))).toEqual(
      servers.map((server) => new Array(FRAGMENTS).fill(server)),
    );
  });

  it('when the sticky table has no room for the flow', async () => {
    bench = await LbBench.create([asis(4)], { sizes: { buckets: 1 } });
    const vip = 'all ports, IPv4';
    await bench.lb.addVip(VIPS[vip]!);
    await bench.lb.addServers({ vip: key(VIPS[vip]!), addresses: SERVERS[4], flush: false });
    const out = ways(send(fragments[vip]!.flat()));
    for (const datagram of fragments[vip]!) {
      expect(new Set(datagram.map((bytes) => out.get(text(bytes)))).size).toBe(1);
      expect(out.get(text(datagram[0]!))).toMatch(/^server/);
    }
    expect(bench.lb.vips()[0]!.counters.untracked).toBe((FLOWS - 4) * FRAGMENTS);
  });
});

describe('fragments that come before the first of their datagram', () => {
  const vip = 'one port, IPv4';

  it('wait for a second, and are dropped then', () => {
    const before = free();
    const later = fragments[vip]!.map((datagram) => datagram[2]!);
    expect(send(later)).toEqual([]);
    expect(free()).toBe(before - FLOWS);
    expect(word(WORKER_HELD)).toBe(FLOWS);
    bench.now += 999;
    expect(settle()).toEqual([]);
    expect(word(WORKER_HELD)).toBe(FLOWS);
    bench.now += 1;
    expect(settle()).toEqual([]);
    expect(bench.bench.counters('lb-fragments')).toEqual({ 'no first fragment': FLOWS });
    expect(free()).toBe(before);
    expect(word(WORKER_HELD)).toBe(0);
  });

  it('give way to newer ones when there are too many, the oldest first', () => {
    const before = free();
    const many = Array.from({ length: HELD_SLOTS + 5 }, (_, n) => withId(fragments[vip]![0]![1]!, n));
    expect(many.flatMap((packet) => bench.send([packet]))).toEqual([]);
    expect(bench.bench.counters('lb-fragments-hold')).toEqual({ 'no room': 5 });
    expect(word(WORKER_HELD)).toBe(HELD_SLOTS);
    const firsts = many.map((_, n) => withId(fragments[vip]![0]![0]!, n));
    const out = new Set(firsts.flatMap((first) => send([first])).map(({ bytes }) => text(bytes)));
    expect(many.map((packet) => out.has(text(packet)))).toEqual(many.map((_, n) => n >= 5));
    expect(free()).toBe(before);
    expect(word(WORKER_HELD)).toBe(0);
  });

  it('are left to the kernel soon if they are to an address of the host, where the first may have gone', () => {
    bench.route('192.0.2.7', dpo(bench.bench.graph.fanOuts.get('dpo')!.indexOf('lb4-port'), NODE_PORT_GROUP4));
    const [later] = scapy(`[IP(src='1.2.3.4', dst='192.0.2.7', frag=9, proto=17)/b'abcdefgh']`);
    expect(send([later!])).toEqual([]);
    bench.now += 20;
    expect(settle().map(({ node, bytes }) => [node, text(bytes)])).toEqual([['punt', text(later!)]]);
  });

  it('follow the first to the kernel if no VIP has its port', () => {
    const packets = scapy(`fragment(IP(src='1.2.3.4', dst='80.1.2.3', id=9)/UDP(sport=9, dport=54)/data[:2000], 600)`);
    const out = send([...packets.slice(1), packets[0]!]);
    expect(ways(out)).toEqual(new Map(packets.map((bytes) => [text(bytes), 'punt'])));
    expect(out).toHaveLength(packets.length);
  });

  it('are sent, held and dropped as a model says, and no buffer is lost', { timeout: 60_000 }, async () => {
    const datagrams = fragments[vip]!.slice(0, 4);
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ flow: fc.nat(3), fragment: fc.nat(FRAGMENTS - 1) }) },
      { weight: 2, arbitrary: fc.constantFrom(10, 400, 999, 1000, 2500, 5000) },
    );
    let serial = 1;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        serial += 4;
        const before = free();
        const wanted = new Map<string, number>();
        const known = new Map<number, number>();
        let waiting: Array<{ flow: number; since: number; bytes: string }> = [];
        const leaves = (bytes: string) => wanted.set(bytes, (wanted.get(bytes) ?? 0) + 1);
        const got = new Map<string, number>();
        const note = (out: SentPacket[]) => {
          for (const { bytes } of out) got.set(text(bytes), (got.get(text(bytes)) ?? 0) + 1);
        };
        for (const s of steps) {
          if (typeof s === 'number') {
            bench.now += s;
            waiting = waiting.filter(({ since }) => bench.now - since < 1000);
            note(settle());
            continue;
          }
          const packet = withId(datagrams[s.flow]![s.fragment]!, serial + s.flow);
          const bytes = text(packet);
          note(send([packet]));
          const second = Math.floor(bench.now / 1000);
          if (s.fragment === 0) {
            known.set(s.flow, second);
            leaves(bytes);
            for (const w of waiting) if (w.flow === s.flow) leaves(w.bytes);
            waiting = waiting.filter(({ flow }) => flow !== s.flow);
          } else if (second - (known.get(s.flow) ?? Number.NEGATIVE_INFINITY) < 5) leaves(bytes);
          else waiting.push({ flow: s.flow, since: bench.now, bytes });
        }
        expect(got).toEqual(wanted);
        expect(word(WORKER_HELD)).toBe(waiting.length);
        bench.now += 1000;
        expect(settle()).toEqual([]);
        expect(free()).toBe(before);
      }),
      { numRuns: 200 },
    );
  });
});

describe('later fragments', () => {
  const vip = VIPS['all ports, IPv4']!;
  const [first, ...rest] = [0, 1, 2, 3].map((i) => () => fragments['all ports, IPv4']![0]![i]!);

  it('do not go to a server that was deleted, nor to the one that has its record now', async () => {
    const server = ways(send([first!()])).get(text(first!()))!;
    const address = `10.0.0.${server.split(' ')[1]}`;
    await bench.lb.deleteServers({ vip: key(vip), addresses: [address], flush: true });
    await bench.lb.sweep();
    await bench.lb.addServers({ vip: key(vip), addresses: ['10.0.0.99'], flush: false });
    expect(send(rest.map((packet) => packet()))).toEqual([]);
    bench.now += 1000;
    settle();
    expect(bench.bench.counters('lb-fragments')).toEqual({ 'no first fragment': 3 });
  });

  it('do not go to the servers of a VIP that was deleted and made again', async () => {
    send([first!()]);
    await bench.lb.deleteVip(key(vip));
    await bench.lb.addVip({ ...vip, prefix: '90.0.0.0/8' });
    await bench.lb.addServers({ vip: key(vip), addresses: ['10.0.0.98', '10.0.0.99'], flush: false });
    expect(send(rest.map((packet) => packet()))).toEqual([]);
  });

  it('stay with the server of the first when it takes no new flows', async () => {
    const server = ways(send([first!()])).get(text(first!()))!;
    const address = `10.0.0.${server.split(' ')[1]}`;
    await bench.lb.setWeight({ vip: key(vip), address, weight: 0, flush: false });
    const out = ways(send(rest.map((packet) => packet())));
    expect([...out.values()]).toEqual([server, server, server]);
  });

  it('over the TCP header are dropped, as are first ones without it', () => {
    const packets = scapy(`[
      IP(src='1.2.3.4', dst='90.1.2.3', id=7, flags='MF')/TCP(sport=1, dport=2)/b'1234',
      IP(src='1.2.3.4', dst='90.1.2.3', id=7, flags='MF', frag=1, proto=6)/(b'x' * 16),
      IP(src='1.2.3.4', dst='90.1.2.3', id=7, frag=3, proto=6)/(b'x' * 16),
      IP(src='1.2.3.4', dst='90.1.2.3', id=8, flags='MF', proto=6)/bytes(TCP(sport=1, dport=2))[:8]]`);
    const out = ways(send(packets));
    expect(packets.map((bytes) => out.has(text(bytes)))).toEqual([true, false, true, false]);
    expect(bench.bench.counters('lb-fragments')).toEqual({ overlapping: 1 });
    expect(bench.bench.counters('lb4')).toEqual({ 'tiny fragment': 1 });
  });

  const packets4 = `fragment(IP(src='1.2.3.4', dst='90.1.2.3', id=9, ttl=TTL)/UDP()/data[:1400], 800)`;
  const packets6 = `fragment6(IPv6(src='2001:db8:1::1', dst='2001:db8:90::1', hlim=TTL)/IPv6ExtHdrFragment(id=9)/UDP()/data[:1400], 800)`;

  it.each([packets4, packets6])('with a TTL that is over are not sent on: %s', (list) => {
    const [known] = scapy(list.replace('TTL', '9'));
    const [, later] = scapy(list.replace('TTL', '1'));
    send([known!]);
    const out = send([later!]);
    // Of IPv6 ICMP errors may be about later fragments: RFC 4443, section 2.4 (e). RFC 1122, section 3.2.2, forbids it for IPv4.
    const errors = out.map(({ bytes }) => [bytes[6], bytes[40]]);
    expect(errors).toEqual(list === packets6 ? [[58, 3]] : []);
    expect(bench.bench.counters('lb-fragments')).toEqual({ 'ttl expired': 1 });
  });

  it('too big for the way to the server are fragmented once more, or dropped if they may not be', async () => {
    for (const address of SERVERS[4]) bench.route(address, dpo(3, Number(address.at(-1))), 700);
    const [small, big] = scapy(`[IP(src='1.2.3.4', dst='90.1.2.3', id=9, flags='MF')/UDP()/data[:64],
      IP(src='1.2.3.4', dst='90.1.2.3', id=9, frag=9, proto=17)/data[:800]]`);
    const server = ways(send([small!])).get(text(small!));
    const pieces = send([big!]);
    expect([...ways(pieces).values()]).toEqual([server, server]);
    const offset = ({ bytes }: SentPacket) => (((bytes[6]! << 8) | bytes[7]!) & 0x1fff) * 8;
    const payload = pieces.toSorted((a, b) => offset(a) - offset(b)).flatMap(({ bytes }) => [...bytes.subarray(20)]);
    expect(payload).toEqual([...big!.subarray(20)]);
    expect(bench.bench.counters('lb-fragments')).toEqual({ fragmented: 1 });
    await bench.lb.lbConf({ fragment: false });
    expect(send([big!])).toEqual([]);
    expect(bench.bench.counters('lb-fragments')).toEqual({ fragmented: 1, 'not fragmented': 1 });
    const [unbreakable] = scapy(`[IP(src='1.2.3.4', dst='90.1.2.3', id=9, frag=9, proto=17, flags='DF')/data[:800]]`);
    expect(send([unbreakable!])).toEqual([]);
    expect(bench.bench.counters('lb-fragments')).toEqual({ fragmented: 1, 'not fragmented': 1, 'too big': 1 });
  });

  it('that lbd itself makes meet, too', () => {
    for (const address of SERVERS[4]) bench.route(address, dpo(3, Number(address.at(-1))), 700);
    for (const n of [1, 2, 3, 4]) {
      const [small, large] = scapy(
        `[IP(src='1.2.3.4', dst='90.1.2.3', id=${n})/UDP(sport=${n})/data[:n] for n in [8, 1400]]`,
      );
      const server = ways(send([small!])).get(text(small!));
      const out = send([large!]);
      expect(out.length).toBeGreaterThan(2);
      expect(new Set(ways(out).values())).toEqual(new Set([server]));
    }
  });

  it('leave when another worker has had the first', () => {
    expect(send(rest.map((packet) => packet()))).toEqual([]);
    const { arena, handles } = bench;
    const kernels = arena.memory.instantiate(compileTestKernels()) as unknown as TestKernels;
    const meta = arena.allocate('metadata of another worker', METADATA_BYTES);
    const ip = arena.allocate('packet of another worker', 2048);
    arena.memory.u8.set(first!(), ip);
    arena.memory.u16[(meta + META_LENGTH) >>> 1] = first!().length;
    arena.memory.u32[(meta + META_AS) >>> 2] = 2;
    kernels.remember_choice(handles.blocks[0]!, ip, meta, secondsAt(bench.now));
    expect([...ways(settle()).values()]).toEqual(['server 2', 'server 2', 'server 2']);
    expect(bench.lb.vips()[0]!.counters.untracked).toBe(3);
  });

  it('say in their trace that they wait, and where they went', () => {
    const { tracer } = bench.bench.runtime;
    tracer.add(2);
    send([rest[0]!()]);
    send([first!()]);
    const steps = tracer.take().map((trace) => trace.steps.map(({ node, text: said }) => `${node}: ${said}`));
    expect(steps[0]!.slice(-2)).toEqual([
      'lb-fragments: no server yet',
      'lb-fragments-hold: waits for the first fragment',
    ]);
    expect(steps[1]!.at(-1)).toMatch(/^sink/);
    tracer.add(1);
    send([rest[1]!()]);
    expect(tracer.take()[0]!.steps.map(({ node, text: said }) => `${node}: ${said}`)).toContainEqual(
      expect.stringMatching(/^lb-fragments: server [1-4], hash 0x/),
    );
  });
});

/** The packet with another identification. Its checksum stays right: RFC 1624. */
function withId(packet: Uint8Array, id: number): Uint8Array {
  const copy = packet.slice();
  const view = new DataView(copy.buffer);
  view.setUint16(4, id);
  view.setUint16(10, 0);
  let sum = 0;
  for (let i = 0; i < (copy[0]! & 15) * 4; i += 2) sum += view.getUint16(i);
  view.setUint16(10, ~((sum & 0xffff) + (sum >>> 16)));
  return copy;
}
