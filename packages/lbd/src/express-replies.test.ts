import { addressBytes } from '@lbd/packet';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FrameSpec, frameOf, WRONG, withFewLater } from './testing/express-frames.ts';
import {
  CLIENTS,
  type ExpressWorld,
  leftBehind,
  sorted,
  twoWorlds,
  WITH_FEATURE,
  WITH_NAT,
  WITH_NAT_AND_CHECKSUM,
  WITH_NAT_AND_OTHER,
  WITHOUT_MAC,
  type WorldVip,
} from './testing/express-world.ts';

// As express.test.ts, for what servers send back: packets of the same sessions go through two graphs, and in one of them the
// ordinary way.

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
    spec: { prefix: '90.0.1.0/24', protocol: 'udp', port: 53, encap: 'nat4', targetPort: 3307 },
    // Not those of the first VIP: with one port, client's packets to both would take turns at being the second.
    servers: ['10.1.1.5', '10.1.1.6'],
  },
  {
    spec: { prefix: '2001:db8:90::1/128', protocol: 'udp', port: 20000, encap: 'nat6', targetPort: 3307 },
    // the last can't be the source of a packet
    servers: ['fd00::11', 'fd00::12', '::1'],
  },
  {
    spec: { prefix: '2001:db8:90::1/128', protocol: 'tcp', port: 80, encap: 'nat6', targetPort: 80 },
    servers: ['fd00::11', 'fd00::14'],
  },
];

/** Address, protocol and port of VIPs, and which of them it is. */
const TARGETS = [
  ['90.0.0.1', 'udp', 20000, 0],
  ['90.0.0.1', 'tcp', 80, 1],
  ['90.0.1.9', 'udp', 53, 2],
  ['2001:db8:90::1', 'udp', 20000, 3],
  ['2001:db8:90::1', 'tcp', 80, 4],
] as const;

interface Spec extends Pick<FrameSpec, 'sport' | 'flags' | 'payload' | 'wrong' | 'rx' | 'ttl' | 'sum'> {
  readonly target: (typeof TARGETS)[number];
  readonly client: number;
  /** Which of the VIP's servers sends it, unless it is known who has the flow. */
  readonly server: number;
  /** True: it comes from who has the flow. */
  readonly known: boolean;
}

const mostly = <T>(weight: number, usual: T, ...others: readonly T[]) =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

/** Most packets of a burst are of one VIP and come in on one interface. */
function burst(from: readonly number[], others: readonly number[]) {
  return fc.tuple(fc.constantFrom(...TARGETS), fc.constantFrom(...from)).chain(([target, rx]) =>
    fc
      .array(
        fc.record<Spec>({
          target: fc.oneof({ weight: 30, arbitrary: fc.constant(target) }, fc.constantFrom(...TARGETS)),
          client: fc.nat(12),
          sport: fc.integer({ min: 1024, max: 1026 }),
          flags: mostly(40, 'A', 'S', 'SA', 'FA', 'R'),
          payload: fc.nat(40),
          wrong: fc.oneof(
            { weight: 40, arbitrary: fc.constant('' as const) },
            { weight: 2, arbitrary: fc.constant('partial' as const) },
            { weight: 1, arbitrary: fc.constantFrom(...WRONG) },
            // so many that later ones find their first
            { weight: 2, arbitrary: fc.constantFrom('first fragment' as const, 'later fragment' as const) },
          ),
          rx: mostly(20, rx, ...others),
          ttl: mostly(60, 64, 0, 1, 2, 255),
          sum: fc.boolean(),
          server: fc.nat(2),
          known: mostly(12, true, false),
        }),
        { minLength: 1, maxLength: 300, size: 'max' },
      )
      .map((specs) => withFewLater(specs)),
  );
}
const ALL = [0, WITH_FEATURE, WITHOUT_MAC, WITH_NAT, WITH_NAT_AND_CHECKSUM, WITH_NAT_AND_OTHER];

const addressOf = (six: boolean, client: number) => (six ? `2001:db8:${client.toString(16)}::4` : `1.2.${client}.4`);

/** A client's packet. */
function forward({ target, client, ...spec }: Spec) {
  const [dst, protocol, dport] = target;
  return frameOf({ ...spec, src: addressOf(dst.includes(':'), client), dst, protocol, dport, n: client });
}

/** Who has the flows that were seen, by what tells them apart: the end of the server's address. */
type Owners = Map<string, number>;
const keyOf = (client: number, protocol: number, sport: number, port: number, six: boolean) =>
  `${client} ${protocol} ${sport} ${port} ${six}`;

/** Learns from what was sent to servers. */
function learn(owners: Owners, sent: ReturnType<ExpressWorld['send']>): void {
  for (const { node, bytes } of sent) {
    const six = bytes[13] === 0xdd;
    const l4 = six ? 54 : 34;
    if (node !== 'sent' || bytes.length < l4 + 8) continue;
    const [client, server] = six ? [Number(bytes[27]), bytes[53]!] : [bytes[28]!, bytes[33]!];
    const port = (at: number) => (bytes[at]! << 8) | bytes[at + 1]!;
    owners.set(keyOf(client, bytes[six ? 20 : 23]!, port(l4), port(l4 + 2), six), server);
  }
}

/** A server's packet. */
function reply(owners: Owners, { target, client, server, known, sport, ...spec }: Spec) {
  const [address, protocol, , vip] = target;
  const six = address.includes(':');
  const { targetPort } = VIPS[vip]!.spec;
  const owner = owners.get(keyOf(client, protocol === 'tcp' ? 6 : 17, sport, targetPort!, six));
  const { servers } = VIPS[vip]!;
  const its = servers.find((one) => addressBytes(one).at(-1) === owner);
  const src = (known && its) || servers[server % servers.length]!;
  const dst = addressOf(six, client);
  return frameOf({ ...spec, src, dst, protocol, sport: targetPort!, dport: sport, n: client });
}

async function worlds() {
  const made = await twoWorlds(VIPS);
  made.both((world) => world.reachClients());
  return made;
}

/** True if an IPv6 packet is from ::1. */
const isLoopback = (bytes: Uint8Array) =>
  bytes[13] === 0xdd && bytes.subarray(22, 38).every((byte, i) => byte === (i === 15 ? 1 : 0));

describe('usual replies that go the short way', () => {
  it('come out as the graph sends them, and leave the same behind', async () => {
    const { short, long, both } = await worlds();
    const owners: Owners = new Map();
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ forward: burst([0, 0, WITH_NAT], [0, WITH_NAT]) }) },
      { weight: 12, arbitrary: fc.record({ reply: burst([WITH_NAT, WITH_NAT, WITH_NAT_AND_CHECKSUM], ALL) }) },
      { weight: 2, arbitrary: fc.integer({ min: 100, max: 90_000 }) },
      {
        weight: 2,
        arbitrary: fc.constantFrom('mtu 60', 'mtu 1500', 'sweep', 'move', 'back', 'nat on', 'nat off', 'checksum on'),
      },
      { weight: 1, arbitrary: fc.constant('checksum off') },
    );
    const exchange = (frames: ReturnType<typeof frameOf>[]) => {
      const sent = short.send(frames);
      expect(sorted(sent)).toEqual(sorted(long.send(frames)));
      return sent;
    };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 12, size: 'max' }), async (steps) => {
        both((world) => {
          world.setClientMtu(1500);
          world.moveClient(3, 3);
          world.enableNat(WITH_NAT, true);
          world.pass(2000);
        });
        for (const todo of steps) {
          if (typeof todo === 'number') expect(sorted(short.pass(todo))).toEqual(sorted(long.pass(todo)));
          else if (todo === 'sweep') await Promise.all([short.sweep(), long.sweep()]);
          else if (todo === 'move') both((world) => world.moveClient(3, 5));
          else if (todo === 'back') both((world) => world.moveClient(3, 3));
          else if (typeof todo === 'string') {
            const [what, how] = todo.split(' ');
            both((world) => {
              if (what === 'mtu') world.setClientMtu(Number(how));
              if (what === 'nat') world.enableNat(WITH_NAT, how === 'on');
              if (what === 'checksum') world.enableChecksums(WITH_NAT, how === 'on');
            });
          } else if ('forward' in todo) learn(owners, exchange(todo.forward.map(forward)));
          else exchange(todo.reply.map((spec) => reply(owners, spec)));
          expect(leftBehind(short)).toEqual(leftBehind(long));
          expect(short.sessions()).toEqual(long.sessions());
          long.bench.runtime.tracer.take();
        }
      }),
      { numRuns: 30, endOnFailure: true },
    );
    for (const family of [4, 6]) {
      // What went through the feature the long way only: clients' packets are not among it, nor what is not usual.
      const taken = long.packets(`lb-nat${family}-in2out`) - short.packets(`lb-nat${family}-in2out`);
      expect(taken).toBeGreaterThan(1000);
      expect(long.packets(`lb-nat${family}-in2out-express`)).toBe(0);
    }
    const counted = Object.fromEntries(
      short.bench.stats.counters().map(({ node, name, value }) => [`${node} ${name}`, value]),
    );
    for (const node of ['l4-checksum completed', 'l4-checksum6 completed', 'other4 other', 'other6 other']) {
      expect(counted[node]).toBeGreaterThan(3n);
    }
  }, 120_000);

  const usual: Omit<Spec, 'target' | 'client'> = {
    sport: 1024,
    flags: 'A',
    payload: 9,
    wrong: '',
    rx: 0,
    ttl: 64,
    sum: true,
    server: 0,
    known: true,
  };

  it.each(TARGETS.map((target) => ({ to: target[0], protocol: target[1], target })))(
    'are all of them: $to, $protocol',
    async ({ target }) => {
      const { short } = await worlds();
      const owners: Owners = new Map();
      const family = target[0].includes(':') ? 6 : 4;
      const clients = [0, 1, 2, 3, 4, 9, 10, 11, 12];
      const all = (sport: number) => clients.map((client) => ({ ...usual, target, client, sport }));
      const begun = [...all(1024), ...all(1025), ...all(1026)];
      learn(owners, short.send(begun.map(forward)));
      const specs = begun.filter((spec) => !isLoopback(reply(owners, spec).bytes));
      const counts = () => [short.packets(`lb-nat${family}-in2out`), short.packets('ethernet-input')];
      const before = counts();
      for (const rx of [WITH_NAT, WITH_NAT_AND_CHECKSUM]) {
        for (const wrong of ['', 'padded', ...(rx === WITH_NAT ? [] : (['partial'] as const))] as const) {
          const sent = short.send(specs.map((spec) => reply(owners, { ...spec, rx, wrong })));
          expect(sent.map(({ node, tx }) => [node, tx])).toEqual(specs.map(() => ['sent', CLIENTS]));
          expect(counts()).toEqual(before);
        }
      }
      // interfaces with other features, and without NAT, are not for it
      for (const rx of [WITH_NAT_AND_OTHER, 0]) short.send(specs.map((spec) => reply(owners, { ...spec, rx })));
      expect(counts()).toEqual([before[0]! + specs.length, before[1]! + 2 * specs.length]);
      // of one vector, packets that came in on several
      const mixed = specs.map((spec, i) =>
        reply(owners, { ...spec, rx: i < 9 ? 0 : i < 20 ? WITH_NAT : WITH_NAT_AND_CHECKSUM }),
      );
      short.send(mixed);
      expect(counts()[1]).toBe(before[1]! + 2 * specs.length + 9);
    },
  );

  it.each(['first fragment', 'checksum'] as const)('may be fragments: %s, then a later one', async (wrong) => {
    const { short, long } = await worlds();
    for (const target of [TARGETS[0], TARGETS[3]]) {
      const owners: Owners = new Map();
      const spec = { ...usual, target, client: 2, sport: 1024 };
      learn(owners, short.send([forward(spec)]));
      long.send([forward(spec)]);
      for (const what of [wrong, 'later fragment', ''] as const) {
        const frames = [reply(owners, { ...spec, rx: WITH_NAT, payload: 24, wrong: what })];
        expect(sorted(short.send(frames))).toEqual(sorted(long.send(frames)));
        expect(leftBehind(short)).toEqual(leftBehind(long));
      }
    }
    const translated = short.bench.counters('lb-nat4-in2out').translated;
    expect(translated).toBe(wrong === 'first fragment' ? 3 : 1);
  });
});
