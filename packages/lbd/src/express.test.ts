import type { SentPacket } from '@lbd/graph/testing';
import { crowdedFlows, hashOfFlow } from '@lbd/lb/testing';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FrameSpec, frameOf, WRONG, withFewLater } from './testing/express-frames.ts';
import {
  BUCKETS,
  CLIENTS,
  ExpressWorld,
  leftBehind,
  macOf,
  sorted,
  twoWorlds,
  WITH_FEATURE,
  WITH_NAT,
  WITH_NAT_AND_CHECKSUM,
  WITH_NAT_AND_OTHER,
  WITHOUT_MAC,
  type WorldOptions,
  type WorldVip,
} from './testing/express-world.ts';

// The shortcut is a second way for usual packets, so what it does is right if it is what the graph does. Here the same packets
// go through two graphs, one of which has all of its packets traced: these go the ordinary way.

const VIPS: readonly WorldVip[] = [
  {
    spec: { prefix: '90.0.0.1/32', protocol: 'udp', port: 20000, encap: 'nat4', targetPort: 3307 },
    servers: ['10.1.1.1', '10.1.1.2', '10.1.1.3'],
  },
  {
    spec: { prefix: '90.0.0.1/32', protocol: 'tcp', port: 80, encap: 'nat4', targetPort: 80 },
    servers: ['10.1.1.1', '10.1.1.4'],
  },
  {
    spec: { prefix: '90.0.1.1/32', protocol: 'udp', port: 53, encap: 'nat4', targetPort: 53, srcIpSticky: true },
    servers: ['10.1.1.5', '10.1.1.6'],
  },
  { spec: { prefix: '91.0.0.0/8', encap: 'gre4' }, servers: ['10.1.2.1', '10.1.2.2'] },
  { spec: { prefix: '92.0.0.0/24', encap: 'gre6', srcIpSticky: true }, servers: ['fd00::1', 'fd00::2'] },
  { spec: { prefix: '93.0.0.1/32', encap: 'l3dsr', dscp: 7 }, servers: ['10.1.3.1', '10.1.3.2'] },
  { spec: { prefix: '94.0.0.1/32', protocol: 'tcp', port: 443, encap: 'l3dsr', dscp: 9 }, servers: ['10.1.3.3'] },
  { spec: { prefix: '95.0.0.1/32', encap: 'gre4' }, servers: [] },
  {
    spec: { prefix: '2001:db8:90::1/128', protocol: 'udp', port: 20000, encap: 'nat6', targetPort: 3307 },
    servers: ['fd00::11', 'fd00::12', 'fd00::13'],
  },
  {
    spec: { prefix: '2001:db8:90::1/128', protocol: 'tcp', port: 80, encap: 'nat6', targetPort: 80 },
    servers: ['fd00::11', 'fd00::14'],
  },
  { spec: { prefix: '2001:db8:91::/48', encap: 'gre4' }, servers: ['10.1.2.3', '10.1.2.4'] },
  { spec: { prefix: '2001:db8:92::/64', encap: 'gre6', srcIpSticky: true }, servers: ['fd00::1', 'fd00::2'] },
];

/** Where packets go: address, protocol and port of a VIP, or none. */
const TARGETS = [
  ['90.0.0.1', 'udp', 20000],
  ['90.0.0.1', 'tcp', 80],
  ['90.0.0.1', 'tcp', 20000],
  ['90.0.1.1', 'udp', 53],
  ['91.0.0.1', 'udp', 5000],
  ['91.2.3.4', 'tcp', 5001],
  ['92.0.0.9', 'udp', 99],
  ['93.0.0.1', 'tcp', 99],
  ['93.0.0.1', 'udp', 98],
  ['94.0.0.1', 'tcp', 443],
  ['95.0.0.1', 'udp', 1],
  ['8.8.8.8', 'udp', 53],
  ['2001:db8:90::1', 'udp', 20000],
  ['2001:db8:90::1', 'tcp', 80],
  ['2001:db8:90::1', 'tcp', 20000],
  ['2001:db8:91::77', 'udp', 5000],
  ['2001:db8:91::78', 'tcp', 5001],
  ['2001:db8:92::9', 'udp', 99],
] as const;

interface Spec extends Pick<FrameSpec, 'sport' | 'flags' | 'payload' | 'wrong' | 'rx' | 'ttl' | 'sum'> {
  readonly target: (typeof TARGETS)[number];
  readonly client: number;
}

/** The bytes of a MAC address. */
const addressOf = (mac: string) => mac.split(':').map((byte) => Number.parseInt(byte, 16));

const often = <T>(usual: T, ...others: readonly T[]) =>
  fc.oneof({ weight: 60, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

const wrong: fc.Arbitrary<Spec['wrong']> = fc.oneof(
  { weight: 20, arbitrary: often<Spec['wrong']>('', ...WRONG) },
  { weight: 1, arbitrary: fc.constant<Spec['wrong']>('partial') },
);

/** Most packets of a burst go to one target, so that there are runs; or none is preferred. */
const burst = fc
  .tuple(fc.constantFrom(...TARGETS), fc.constantFrom(0, 0, WITH_FEATURE, WITH_NAT_AND_CHECKSUM), fc.nat(3))
  .chain(([target, rx, scattered]) =>
    fc
      .array(
        fc.record<Spec>({
          target: fc.oneof(
            { weight: scattered === 0 ? 0 : 60, arbitrary: fc.constant(target) },
            fc.constantFrom(...TARGETS),
          ),
          client: fc.nat(12),
          sport: fc.integer({ min: 1024, max: 1027 }),
          flags: often('A', 'S', 'SA', 'FA', 'R'),
          payload: fc.nat(40),
          wrong,
          rx: fc.oneof(
            { weight: 40, arbitrary: fc.constant(rx) },
            fc.constantFrom(0, WITH_FEATURE, WITHOUT_MAC, WITH_NAT),
          ),
          ttl: often(64, 0, 1, 2, 255),
          sum: fc.boolean(),
        }),
        { minLength: 1, maxLength: 300, size: 'max' },
      )
      .map((specs) => withFewLater(specs)),
  );

function toVip({ target, client, ...spec }: Spec): { bytes: Uint8Array; rx: number } {
  const [dst, protocol, dport] = target;
  const src = dst.includes(':') ? `2001:db8:${client}::4` : `1.2.${client}.4`;
  return frameOf({ ...spec, src, dst, protocol, dport, n: client });
}

const untrackedOf = (world: ExpressWorld) => world.lb.vips().reduce((sum, { counters }) => sum + counters.untracked, 0);

describe('usual packets that go the short way', () => {
  it.each<{ what: string; options: WorldOptions; least: number }>([
    { what: 'as usual', options: {}, least: 50 },
    { what: 'with the keyed flow hash', options: { keyed: true }, least: 50 },
    // Some flows are in their second bucket, and some have no room.
    { what: 'with a sticky table that is too small', options: { buckets: 32 }, least: 5 },
  ])(
    'come out as the graph sends them, and leave the same behind: $what',
    async ({ options, least }) => {
      const { short, long, both } = await twoWorlds(VIPS, options);
      const step = fc.oneof(
        { weight: 8, arbitrary: burst },
        { weight: 2, arbitrary: fc.integer({ min: 100, max: 30_000 }) },
        { weight: 1, arbitrary: fc.constantFrom('mtu 60', 'mtu 1500', 'lose', 'find') },
      );
      fc.assert(
        fc.property(fc.array(step, { minLength: 4, maxLength: 8, size: 'max' }), (steps) => {
          both((world) => {
            world.setMtu(1500);
            world.pass(2000);
          });
          for (const todo of steps) {
            if (typeof todo === 'number') expect(sorted(short.pass(todo))).toEqual(sorted(long.pass(todo)));
            else if (todo === 'lose') both((world) => world.loseNeighbour('10.1.1.1'));
            else if (typeof todo === 'string') both((world) => world.setMtu(Number(todo.split(' ')[1] ?? 1500)));
            else {
              const frames = todo.map(toVip);
              // Twice: the second time, flows are known.
              for (let turn = 0; turn < 2; turn++)
                expect(sorted(short.send(frames))).toEqual(sorted(long.send(frames)));
            }
            expect(leftBehind(short, options)).toEqual(leftBehind(long, options));
            expect(short.sessions()).toEqual(long.sessions());
            long.bench.runtime.tracer.take();
          }
        }),
        { numRuns: 30, endOnFailure: true },
      );
      const completed = short.state().counters.filter((counter) => counter.startsWith('l4-checksum'));
      expect(completed.length).toBe(2);
      for (const node of ['nat4-express', 'nat6-express']) expect(short.packets(node)).toBeGreaterThan(least);
      expect(short.packets('ethernet-input')).toBeLessThan((options.buckets ? 1 : 0.95) * short.packets('lb4-express'));
      if (options.buckets) expect(untrackedOf(short)).toBeGreaterThan(100);
      expect(long.packets('lb4-express')).toBe(0);
    },
    60_000,
  );

  // Seconds lie between a flow's packets, so that the sessions say which of them lived longer for what.
  it('leave the same sessions behind where a client has several flows, and fragments of them', async () => {
    const { short, long } = await twoWorlds(VIPS);
    const targets = TARGETS.filter(([dst]) => dst === '90.0.1.1' || dst === '2001:db8:90::1');
    const few = fc.array(
      fc.record<Spec>({
        target: fc.constantFrom(...targets),
        client: fc.nat(1),
        sport: fc.integer({ min: 1024, max: 1027 }),
        flags: often('A', 'S', 'SA', 'FA', 'R'),
        payload: fc.nat(40),
        wrong: fc.constantFrom('', '', '', 'first fragment', 'later fragment'),
        rx: fc.constant(0),
        ttl: fc.constant(64),
        sum: fc.boolean(),
      }),
      { minLength: 3, maxLength: 10, size: 'max' },
    );
    fc.assert(
      fc.property(fc.array(few, { minLength: 20, maxLength: 40, size: 'max' }), (bursts) => {
        for (const specs of bursts) {
          const frames = specs.map(toVip);
          expect(sorted(short.send(frames))).toEqual(sorted(long.send(frames)));
          expect(sorted(short.pass(3000))).toEqual(sorted(long.pass(3000)));
          expect(leftBehind(short)).toEqual(leftBehind(long));
          expect(short.sessions()).toEqual(long.sessions());
          long.bench.runtime.tracer.take();
        }
      }),
      { numRuns: 20, endOnFailure: true },
    );
    expect(short.packets('nat4-express')).toBeGreaterThan(200);
  }, 60_000);

  const usual = (target: Spec['target'], client: number, sport: number) =>
    toVip({ target, client, sport, flags: 'A', payload: 9, wrong: '', rx: 0, ttl: 64, sum: true });
  it('are all but the first of each flow', async () => {
    const short = await ExpressWorld.create(VIPS);
    const frames = Array.from({ length: 64 }, (_, i) => usual(TARGETS[0], i, 1024));
    expect(short.send(frames)).toHaveLength(64);
    expect([short.packets('nat4-express'), short.packets('ethernet-input')]).toEqual([0, 64]);
    for (let i = 1; i <= 3; i++) {
      expect(short.send(frames)).toHaveLength(64);
      expect([short.packets('nat4-express'), short.packets('ethernet-input')]).toEqual([64 * i, 64]);
    }
    // an interface with l4-checksum or NAT's way back is for it, one with another feature is not
    const on = (rx: number) => {
      const mac = addressOf(macOf(rx));
      return frames.map(({ bytes }) => ({ bytes: Uint8Array.from([...mac, ...bytes.slice(6)]), rx }));
    };
    expect(short.send(on(WITH_FEATURE))).toHaveLength(64);
    expect([short.packets('nat4-express'), short.packets('ethernet-input')]).toEqual([256, 64]);
    expect(short.send(on(WITH_NAT))).toHaveLength(64);
    expect(short.send(on(WITH_NAT_AND_CHECKSUM))).toHaveLength(64);
    expect([short.packets('nat4-express'), short.packets('ethernet-input')]).toEqual([384, 64]);
    short.send(on(WITH_NAT_AND_OTHER));
    expect([short.packets('nat4-express'), short.packets('ethernet-input')]).toEqual([384, 128]);
  });

  // VIPs of both families, of one port and of all ports, whose flows are told apart by ports or by source addresses alone
  const served = [
    ['90.0.0.1', 'udp', 20000, 'nat4-express'],
    ['90.0.0.1', 'tcp', 80, 'nat4-express'],
    ['90.0.1.1', 'udp', 53, 'nat4-express', 'by source'],
    ['91.0.0.1', 'udp', 5000, 'gre4-express'],
    ['92.0.0.9', 'udp', 99, 'gre6-express', 'by source'],
    ['93.0.0.1', 'tcp', 99, 'l3dsr-express'],
    ['94.0.0.1', 'tcp', 443, 'l3dsr-express'],
    ['2001:db8:90::1', 'udp', 20000, 'nat6-express'],
    ['2001:db8:90::1', 'tcp', 80, 'nat6-express'],
    ['2001:db8:91::78', 'tcp', 5001, 'gre4-express'],
    ['2001:db8:92::9', 'udp', 99, 'gre6-express', 'by source'],
  ] as const;
  const kinds = served.flatMap(([dst, protocol, dport, node, bySource]) =>
    (['crc32c', 'keyed'] as const).map((flowHash) => {
      const target = TARGETS.find((t) => t[0] === dst && t[1] === protocol && t[2] === dport)!;
      return { dst, protocol, dport, node, flowHash, target, bySource: bySource !== undefined };
    }),
  );
  it.each(kinds)('are those to $dst $protocol $dport, by $flowHash', async ({ target, node, flowHash, bySource }) => {
    const world = await ExpressWorld.create(VIPS, { keyed: flowHash === 'keyed' });
    const ways = () => ({ short: world.packets(node), ordinary: world.packets('ethernet-input') });
    const flows = Array.from({ length: 50 }, (_, i) => usual(target, 1 + i, 1024 + i));
    expect(world.send(flows)).toHaveLength(50);
    expect(ways()).toEqual({ short: 0, ordinary: 50 });
    for (const frames of [flows, flows.slice(7, 8), [...flows].reverse()]) {
      expect(world.send(frames).map((sent) => sent.node)).toEqual(frames.map(() => 'sent'));
    }
    expect(ways()).toEqual({ short: 101, ordinary: 50 });
    expect(world.lb.vips().filter(({ counters }) => counters.existingSessions === 101)).toHaveLength(1);
    // Other ports are other flows, unless source addresses alone tell them apart.
    expect(world.send(flows.map((_, i) => usual(target, 1 + i, 5000 + i)))).toHaveLength(50);
    expect(ways()).toEqual(bySource ? { short: 151, ordinary: 50 } : { short: 101, ordinary: 100 });
  });

  it.each([4, 6] as const)(
    'are those to several VIPs in turn, of IPv%i, and flows keep their order',
    async (family) => {
      const world = await ExpressWorld.create(VIPS);
      const targets = served
        .filter(([dst]) => dst.includes(':') === (family === 6))
        .map(([dst, protocol, dport]) => TARGETS.find((t) => t[0] === dst && t[1] === protocol && t[2] === dport)!);
      const frames = Array.from({ length: 256 }, (_, i) =>
        toVip({
          ...{ target: targets[i % targets.length]!, client: 1 + (i % 64), sport: 1024 + (i % 32) },
          ...{ flags: 'A', payload: i, wrong: '', rx: 0, ttl: 64, sum: true },
        }),
      );
      world.send(frames);
      const ordinary = world.packets('ethernet-input');
      const sent = world.send(frames);
      expect(sent.map(({ node }) => node)).toEqual(frames.map(() => 'sent'));
      expect(world.packets('ethernet-input')).toBe(ordinary);
      expect(world.packets(`lb${family}-express`)).toBe(512);
      // Payloads grow by one from packet to packet, so those of each VIP do: they are told apart by server and protocol.
      const lengths = new Map<string, number[]>();
      for (const { bytes } of sent) {
        const [protocol, address] =
          bytes[12] === 8 ? [bytes[23], bytes.subarray(30, 34)] : [bytes[20], bytes.subarray(38, 54)];
        const key = `${protocol} ${address}`;
        lengths.set(key, [...(lengths.get(key) ?? []), bytes.length]);
      }
      expect(lengths.size).toBeGreaterThan(5);
      for (const [, found] of lengths) expect(found).toEqual([...found].sort((one, other) => one - other));
    },
  );

  it.each([4, 6] as const)(
    'are those to several VIPs in turn on each interface that has no other feature: IPv%i',
    async (family) => {
      const { short, long } = await twoWorlds(VIPS);
      const targets = served
        .filter(([dst]) => dst.includes(':') === (family === 6))
        .map(([dst, protocol, dport]) => TARGETS.find((t) => t[0] === dst && t[1] === protocol && t[2] === dport)!);
      // Four packets of each interface in turn; one of them is for another host, but where there is no MAC address to tell.
      const interfaces = [WITHOUT_MAC, 0, WITH_NAT, WITH_NAT_AND_OTHER, WITH_FEATURE];
      const specs = Array.from({ length: 256 }, (_, i) => ({
        ...{
          target: targets[i % targets.length]!,
          client: 1 + (i % 64),
          sport: 1024 + (i % 32),
          flags: 'A',
          payload: 9,
        },
        ...{ rx: interfaces[(i >> 2) % 5]!, wrong: i % 4 === 1 ? ('mac' as const) : ('' as const), ttl: 64, sum: true },
      }));
      const frames = specs.map(toVip);
      const taken = specs.filter(({ rx, wrong }) => rx === WITHOUT_MAC || (rx !== WITH_NAT_AND_OTHER && wrong === ''));
      for (let turn = 0; turn < 2; turn++) {
        const ordinary = short.packets('ethernet-input');
        expect(sorted(short.send(frames))).toEqual(sorted(long.send(frames)));
        expect(short.packets('ethernet-input') - ordinary).toBe(turn === 0 ? 256 : 256 - taken.length);
      }
      expect(leftBehind(short)).toEqual(leftBehind(long));
    },
  );

  it.each([4, 6] as const)('are those that follow others: IPv%i', async (family) => {
    const world = await ExpressWorld.create(VIPS);
    world.reachClients();
    const target = TARGETS.find(([dst]) => dst === (family === 6 ? '2001:db8:90::1' : '90.0.0.1'))!;
    const [src, dst] = family === 6 ? ['2001:db8:7::4', '2001:db8:3::1'] : ['1.2.7.4', '1.2.3.1'];
    const other = frameOf({
      ...{ src, dst, protocol: 'tcp', sport: 1024, dport: 80, n: 1, flags: 'A', payload: 1 },
      ...{ wrong: '', rx: 0, ttl: 64, sum: true },
    });
    const flows = Array.from({ length: 20 }, (_, i) => usual(target, 1 + i, 1024));
    world.send(flows);
    const node = `nat${family}-express`;
    // ten of the vector are for nobody; the last packet is for a VIP
    expect(world.send([...Array(10).fill(other), ...flows])).toHaveLength(30);
    expect(world.packets(node)).toBe(20);
  });

  it.each([4, 6] as const)(
    'of IPv%i to several VIPs do not mix up the packets of the other family among them',
    async (family) => {
      const world = await ExpressWorld.create(VIPS);
      world.reachClients();
      const targets = served
        .filter(([dst]) => dst.includes(':') === (family === 6))
        .map(([dst, protocol, dport]) => TARGETS.find((t) => t[0] === dst && t[1] === protocol && t[2] === dport)!);
      // One flow that no VIP has: its packets differ in length, payload and checksum, and follow each other from short to long.
      const [src, dst] = family === 4 ? ['2001:db8:7::4', '2001:db8:3::1'] : ['1.2.7.4', '1.2.3.1'];
      const frames = Array.from({ length: 256 }, (_, i) =>
        i % 4 === 3
          ? frameOf({
              ...{ src, dst, protocol: 'tcp', sport: 1024, dport: 80, n: i % 256, flags: 'A', payload: i },
              ...{ wrong: '', rx: 0, ttl: 64, sum: true },
            })
          : usual(targets[i % targets.length]!, 1 + (i % 64), 1024 + (i % 32)),
      );
      for (let turn = 0; turn < 2; turn++) {
        const others = world.send(frames).filter(({ tx }) => tx === CLIENTS);
        const lengths = others.map(({ bytes }) => bytes.length);
        expect(lengths).toHaveLength(64);
        expect(lengths).toEqual([...lengths].sort((one, other) => one - other));
      }
      expect(world.packets(`lb${family}-express`)).toBe(512);
      expect(world.packets('nat4-express') + world.packets('nat6-express')).toBeGreaterThan(0);
    },
  );

  it.each(kinds.filter(({ bySource }) => !bySource))(
    'are those whose own sticky bucket is full, to $dst $protocol $dport, by $flowHash',
    async ({ target, node, flowHash }) => {
      const world = await ExpressWorld.create(VIPS, { keyed: flowHash === 'keyed' });
      const [dst, , dport] = target;
      const clientOf = (n: number) => ({ client: 1 + (n % 99), sport: 1024 + Math.floor(n / 99) });
      const flows = crowdedFlows(
        (n) => {
          const { client, sport } = clientOf(n);
          const src = dst.includes(':') ? `2001:db8:${client}::4` : `1.2.${client}.4`;
          return { src, dst, sport, dport, frame: usual(target, client, sport) };
        },
        BUCKETS,
        9,
      );
      const own = hashOfFlow(flows[0]!) % BUCKETS;
      /** Hashes and ends of flows by bucket. */
      const sticky = () =>
        world.state().sticky.map((entry) =>
          entry
            .match(/^(\d+): (\d+) (\d+)/)!
            .slice(1, 4)
            .map(Number),
        );
      const held = (bucket: number) =>
        sticky()
          .filter(([at]) => at === bucket)
          .map(([, hash]) => hash);
      const hashes = (from: number, to: number) => flows.slice(from, to).map(hashOfFlow);
      const ways = () => ({ short: world.packets(node), ordinary: world.packets('ethernet-input') });
      const send = (...which: number[]) => world.send(which.map((n) => flows[n]!.frame));
      // Servers' neighbours have a MAC address each.
      const servers = (sent: SentPacket[]) => sent.map(({ bytes }) => bytes[5]);

      const first = servers(send(0, 1, 2, 3, 4, 5, 6, 7));
      expect(new Set(held(own))).toEqual(new Set(hashes(0, 4)));
      expect(new Set(held(own ^ (BUCKETS / 2)))).toEqual(new Set(hashes(4, 8)));
      expect(ways()).toEqual({ short: 0, ordinary: 8 });
      // All the same: by themselves, between others, first, last.
      const again = (...which: number[]) => {
        const before = ways().short;
        expect(servers(send(...which))).toEqual(which.map((n) => first[n]));
        expect(ways()).toEqual({ short: before + which.length, ordinary: 8 });
        const [now] = sticky()
          .map(([, , expiry]) => expiry!)
          .sort((one, other) => other - one);
        for (const n of which) expect(sticky().find(([, hash]) => hash === hashOfFlow(flows[n]!))![2]).toBe(now);
      };
      // By themselves, between others, first, last; in time for none to be over.
      for (const which of [[4], [0, 4], [4, 0], [0, 5, 1, 6, 7, 2, 4, 3], [4, 5, 6, 7], [0, 1, 2, 3, 0, 1, 7]]) {
        world.now += 5000;
        again(...which);
      }
      // They live on there, when the others are over,
      for (let turn = 0; turn < 3; turn++) {
        world.now += 30_000;
        again(4, 5, 6, 7);
      }
      // and under another flow hash.
      await world.lb.lbConf({ flowHash: flowHash === 'keyed' ? 'crc32c' : 'keyed' });
      again(7, 6, 5, 4);
      expect(untrackedOf(world)).toBe(0);

      // With no room in either bucket, all of a flow's packets go the ordinary way.
      expect(world.send(flows.slice(0, 4).map(({ frame }) => frame))).toHaveLength(4);
      expect(ways().ordinary).toBe(12);
      for (let turn = 1; turn <= 2; turn++) {
        expect(send(8)).toHaveLength(1);
        expect(ways().ordinary).toBe(12 + turn);
      }
      expect(untrackedOf(world)).toBe(2);
    },
  );
});
