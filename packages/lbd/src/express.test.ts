import {
  type AnyLayer,
  checksum,
  ethernet,
  fragmentExtension,
  icmp4,
  icmp6,
  ip4,
  ip6,
  packet,
  tcp,
  udp,
} from '@lbd/packet';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExpressWorld, macOf, WITH_FEATURE, WITHOUT_MAC, type WorldVip } from './testing/express-world.ts';

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

interface Spec {
  readonly target: (typeof TARGETS)[number];
  readonly client: number;
  readonly sport: number;
  readonly flags: string;
  readonly payload: number;
  /** What is the matter with it; usual packets have nothing. */
  readonly wrong: (typeof WRONG)[number] | '';
  readonly rx: number;
  readonly ttl: number;
  readonly sum: boolean;
}

const WRONG = [
  'mac',
  'group',
  'arp',
  'ip6',
  'icmp',
  'options',
  'version',
  'first fragment',
  'later fragment',
  'checksum',
  'source',
  'length',
  'short',
  'truncated',
  'padded',
] as const;

const often = <T>(usual: T, ...others: readonly T[]) =>
  fc.oneof({ weight: 60, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

/** Most packets of a burst go to one target, so that there are runs. */
const burst = fc.constantFrom(...TARGETS).chain((target) =>
  fc.array(
    fc.record<Spec>({
      target: fc.oneof({ weight: 60, arbitrary: fc.constant(target) }, fc.constantFrom(...TARGETS)),
      client: fc.nat(12),
      sport: fc.integer({ min: 1024, max: 1027 }),
      flags: often('A', 'S', 'SA', 'FA', 'R'),
      payload: fc.nat(40),
      wrong: often('', ...WRONG),
      rx: often(0, WITH_FEATURE, WITHOUT_MAC),
      ttl: often(64, 0, 1, 2, 255),
      sum: fc.boolean(),
    }),
    { minLength: 1, maxLength: 300, size: 'max' },
  ),
);

function frameOf(spec: Spec): { bytes: Uint8Array; rx: number } {
  const { target, client, sport, wrong, rx, ttl } = spec;
  const [dst, protocol, dport] = target;
  const to = rx === WITHOUT_MAC ? '02:00:00:00:00:77' : macOf(rx);
  const mac = wrong === 'mac' ? '02:00:00:00:00:55' : wrong === 'group' ? 'ff:ff:ff:ff:ff:ff' : to;
  const ether = ethernet({ dst: mac, src: '02:00:00:00:00:99' });
  const payload = new Uint8Array(spec.payload).map((_, i) => i * 37 + client);
  const src = wrong === 'source' ? ['127.0.0.1', '0.1.2.3', '224.0.0.1'][client % 3]! : `1.2.${client}.4`;
  const l4 =
    protocol === 'tcp'
      ? tcp({ sport, dport, flags: spec.flags })
      : udp({ sport, dport, ...(spec.sum ? {} : { checksum: 0 }) });
  if (dst.includes(':')) return { bytes: frame6(spec, ether, l4, payload), rx };
  if (wrong === 'ip6') {
    return { bytes: packet(ether, ip6({ src: '2001:db8::9', dst: '2001:db8::77' }), l4, payload), rx };
  }
  const fragment = wrong === 'first fragment' ? { mf: true } : wrong === 'later fragment' ? { offset: 8 } : {};
  const ip = ip4({ src, dst, ttl, id: client, tos: (client * 21) & 255, df: client % 2 === 1, ...fragment });
  const bytes = wrong === 'icmp' ? packet(ether, ip, icmp4({}), payload) : packet(ether, ip, l4, payload);
  const header = bytes.subarray(14, 34);
  const again = () => {
    header[10] = 0;
    header[11] = 0;
    const sum = checksum(header);
    header[10] = sum >> 8;
    header[11] = sum & 255;
  };
  if (wrong === 'arp') bytes[13] = 6;
  if (wrong === 'options') {
    // what follows the header becomes options: whatever it is, the ordinary way says what becomes of it
    header[0] = 0x46;
    again();
  }
  if (wrong === 'version') header[0] = 0x65;
  if (wrong === 'checksum') header[10]! ^= 1 << (client % 8);
  if (wrong === 'length') {
    header[2] = 2;
    again();
  }
  if (wrong === 'short') {
    header[2] = 0;
    header[3] = 20 + (client % 20);
    again();
  }
  if (wrong === 'truncated') return { bytes: bytes.slice(0, (client * 5) % bytes.length || 1), rx };
  if (wrong === 'padded') return { bytes: Uint8Array.from([...bytes, ...new Uint8Array(client + 1).fill(0xee)]), rx };
  return { bytes, rx };
}

/** An IPv6 packet; of what can be the matter, what there is in IPv6. */
function frame6({ target, client, wrong, ttl }: Spec, ether: AnyLayer, l4: AnyLayer, payload: Uint8Array): Uint8Array {
  const src = wrong === 'source' ? ['::1', '::', 'ff02::1'][client % 3]! : `2001:db8:${client}::4`;
  const extensions =
    wrong === 'options'
      ? [{ type: 60, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) }]
      : wrong === 'first fragment'
        ? [fragmentExtension(client, 0, true)]
        : wrong === 'later fragment'
          ? [fragmentExtension(client, 64, false)]
          : [];
  const ip = ip6({ src, dst: target[0], hopLimit: ttl, trafficClass: client * 21, extensions });
  const bytes = wrong === 'icmp' ? packet(ether, ip, icmp6({}), payload) : packet(ether, ip, l4, payload);
  if (wrong === 'arp') bytes[13] = 6;
  if (wrong === 'version') bytes[14] = 0x45;
  if (wrong === 'length') bytes[18] = 2;
  if (wrong === 'short') {
    bytes[18] = 0;
    bytes[19] = client % 20;
  }
  if (wrong === 'truncated') return bytes.slice(0, (client * 5) % bytes.length || 1);
  if (wrong === 'padded') return Uint8Array.from([...bytes, ...new Uint8Array(client + 1).fill(0xee)]);
  return bytes;
}

/** The same in any order: a packet that went the ordinary way may be passed by others. */
const sorted = (sent: ReturnType<ExpressWorld['send']>) =>
  sent
    .map(
      ({ node, bytes, rx, tx }) => `${node} ${rx} ${node === 'sent' ? tx : ''} ${Buffer.from(bytes).toString('hex')}`,
    )
    .sort();

async function twoWorlds(keyed = false) {
  const [short, long] = await Promise.all([ExpressWorld.create(VIPS, keyed), ExpressWorld.create(VIPS, keyed)]);
  long.shareKey(short);
  long.bench.runtime.tracer.add(Number.MAX_SAFE_INTEGER);
  const both = (work: (world: ExpressWorld) => void) => [short, long].forEach(work);
  return { short, long, both };
}

describe('usual packets that go the short way', () => {
  it.each([false, true])(
    'come out as the graph sends them, and leave the same behind (keyed hash: %s)',
    async (keyed) => {
      const { short, long, both } = await twoWorlds(keyed);
      const step = fc.oneof(
        { weight: 8, arbitrary: burst },
        { weight: 2, arbitrary: fc.integer({ min: 100, max: 30_000 }) },
        { weight: 1, arbitrary: fc.constantFrom('mtu 60', 'mtu 1500', 'lose', 'find') },
      );
      fc.assert(
        fc.property(fc.array(step, { minLength: 4, maxLength: 8, size: 'max' }), (steps) => {
          for (const todo of steps) {
            if (typeof todo === 'number') both((world) => (world.now += todo));
            else if (todo === 'lose') both((world) => world.loseNeighbour('10.1.1.1'));
            else if (typeof todo === 'string') both((world) => world.setMtu(Number(todo.split(' ')[1] ?? 1500)));
            else {
              const frames = todo.map(frameOf);
              expect(sorted(short.send(frames))).toEqual(sorted(long.send(frames)));
            }
            expect(short.state()).toEqual(long.state());
            long.bench.runtime.tracer.take();
          }
        }),
        { numRuns: 30 },
      );
      expect(short.packets('nat4-express')).toBeGreaterThan(50);
      expect(short.packets('ethernet-input')).toBeLessThan((keyed ? 0.98 : 0.9) * short.packets('lb4-express'));
      expect(short.packets('nat6-express')).toBeGreaterThan(keyed ? -1 : 50);
      expect(long.packets('lb4-express')).toBe(0);
    },
    60_000,
  );

  it('are all but the first of each flow', async () => {
    const { short } = await twoWorlds();
    const frames = Array.from({ length: 64 }, (_, i) =>
      frameOf({
        target: TARGETS[0],
        client: i,
        sport: 1024,
        flags: 'A',
        payload: 9,
        wrong: '',
        rx: 0,
        ttl: 64,
        sum: true,
      }),
    );
    expect(short.send(frames)).toHaveLength(64);
    expect([short.packets('nat4-express'), short.packets('ethernet-input')]).toEqual([0, 64]);
    for (let i = 1; i <= 3; i++) {
      expect(short.send(frames)).toHaveLength(64);
      expect([short.packets('nat4-express'), short.packets('ethernet-input')]).toEqual([64 * i, 64]);
    }
    // an interface with a feature is not for it
    const others = frames.map(({ bytes }) => ({
      bytes: Uint8Array.from([...bytes.slice(0, 5), 0x11, ...bytes.slice(6)]),
      rx: WITH_FEATURE,
    }));
    expect(short.send(others)).toHaveLength(64);
    expect([short.packets('nat4-express'), short.packets('ethernet-input')]).toEqual([192, 128]);
  });
});
