import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ControlClient, type NodeCounter, type Runtime } from '@lbd/control';
import { PcapReader } from '@lbd/io-pcap';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Captures, SERVERS, until } from '../testing/captures.ts';

const WRITER = fileURLToPath(new URL('../testing/hostile.py', import.meta.url));

/** Where each kind of packet must end: the node and its reason. */
type Reasons = Readonly<Record<string, readonly string[]>>;

const DROPPED_AT_THE_DOOR: Reasons = {
  'ethernet-input/runt': ['nothing at all', 'runt'],
  'ethernet-input/not for this host': ['another destination MAC'],
  'ip4-input/truncated': [
    'Ethernet only',
    'half an IP header',
    'one byte less than an IP header',
    'IP total length beyond the frame',
  ],
  'ip4-input/bad version': ['IP version 5', 'IP version 6 in a frame of IPv4'],
  'ip4-input/bad header length': ['IHL 4', 'IHL 0'],
  'ip4-input/bad length': ['IHL beyond the total length', 'IP total length below the header'],
  'ip4-input/bad checksum': ['bad header checksum'],
};
const DROPPED_LATER: Reasons = {
  // One only: of many that wait for their first fragment, the oldest would give way.
  'lb-fragments/no first fragment': ['later fragment'],
  'ip4-input/ttl expired': ['TTL 0'],
  'ip4-input/bad source': ['source 0.0.0.1', 'source 127.0.0.1', 'source 224.0.0.1', 'source 255.255.255.255'],
  'ip4-lookup/martian destination': ['destination 127.0.0.1'],
  'ip4-lookup/no route': ['destination without a route'],
  'nat4/truncated': ['TCP with its ports only', 'TCP one byte short', 'UDP with its ports only', 'UDP one byte short'],
  'lb4-port/ttl expired': ['TTL 1'],
};
const PUNTED: Reasons = {
  'lb4-port/no VIP for the port': [
    'TCP with no port',
    'TCP without its second port',
    'another port',
    'another protocol',
  ],
  'ethernet-input/unknown ethertype': ['VLAN tag', 'an EtherType of nobody'],
  'ethernet-input/link-layer broadcast or multicast': ['ARP'],
};
/**
 * Counters that say nothing about a packet's end. ICMP errors are about packets that are counted already; here they get as
 * far as a router whose MAC address nobody knows.
 */
const NO_REASONS = [
  'nat4/sessions created',
  'ip4-icmp-error/sent',
  'ip4-icmp-error/too many',
  'ip4-glean/unresolved',
  'ip4-glean/requests',
];

let captures: Captures;
let client: ControlClient;

beforeEach(() => {
  captures = new Captures();
  client = new ControlClient(captures.socket);
});
afterEach(() => captures.remove());

describe('hostile packets between good ones', () => {
  it.each<[string, { dropped: Reasons; punted: Reasons }, number]>([
    ['what is wrong with frames and IP headers', { dropped: DROPPED_AT_THE_DOOR, punted: {} }, 1],
    ['what is wrong further in', { dropped: DROPPED_LATER, punted: {} }, 2],
    ['what is not lbd’s', { dropped: {}, punted: PUNTED }, 3],
  ])('%s: each packet ends where it should, for the reason it should', async (_, { dropped, punted }, seed) => {
    const kinds = [dropped, punted].flatMap((reasons) => Object.values(reasons).flat());
    const written = write(kinds, seed);
    await replay(2 ** kinds.length - 1 + written.good);

    const counters = (await client.command('show errors')).data as NodeCounter[];
    expect(decode(counters, kinds)).toEqual(sorted({ ...dropped, ...punted }));

    // Each packet ended in one way, as the interfaces, the nodes and the captures say.
    const count = (reasons: Reasons) =>
      Object.values(reasons)
        .flat()
        .reduce((sum, kind) => sum + 2 ** kinds.indexOf(kind), 0);
    const { nodes, workers } = (await client.command('show runtime')).data as Runtime;
    const packets = (node: string) => nodes.find(({ name }) => name === node)!.packets;
    expect({
      in: packets('pcap-input'),
      out: packets('pcap-output'),
      punted: packets('pcap-punt'),
      dropped: packets('drop'),
    }).toEqual({
      in: written.good + count(punted) + count(dropped),
      out: written.good,
      punted: count(punted),
      dropped: count(dropped),
    });
    expect(workers.map(({ buffers, freeBuffers }) => buffers - freeBuffers)).toEqual([0]);
    await stop();

    // The kernel would get what it is given as it came.
    const left: Record<string, number> = {};
    for (const { bytes } of PcapReader.open(captures.path('punt.pcap'))) {
      const hex = Buffer.from(bytes).toString('hex');
      left[hex] = (left[hex] ?? 0) + 1;
    }
    const expected = kinds.filter((kind) => Object.values(punted).flat().includes(kind));
    expect(left).toEqual(Object.fromEntries(expected.map((kind) => [written.hostile[kind], 2 ** kinds.indexOf(kind)])));

    expectBalanced(written.good);
  });
});

/** The good packets: all there, right, each flow with one server, all servers with flows. */
function expectBalanced(good: number): void {
  const sent = captures.readSent();
  expect(sent).toHaveLength(good);
  const servers = new Map<number, Set<string>>();
  for (const { ip, tcp, good, mac } of sent) {
    expect(good).toBe(true);
    expect(ip).toMatchObject({ src: '10.1.0.2', ttl: 63 });
    expect(tcp.dport).toBe(80);
    expect(mac).toBe(`02:00:00:00:01:0${SERVERS.indexOf(ip.dst) + 1}`);
    servers.set(tcp.sport, (servers.get(tcp.sport) ?? new Set()).add(ip.dst));
  }
  expect(servers.size).toBe(100);
  expect(new Set([...servers.values()].map(({ size }) => size))).toEqual(new Set([1]));
  expect(new Set([...servers.values()].flatMap((addresses) => [...addresses]))).toEqual(new Set(SERVERS));
  // All of them, and those of each flow in the order in which they came.
  expect(sent.map(({ tcp }) => tcp.seq).sort((a, b) => a - b)).toEqual(Array.from({ length: good }, (_, i) => i));
  for (const sport of servers.keys()) {
    const seqs = sent.filter(({ tcp }) => tcp.sport === sport).map(({ tcp }) => tcp.seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  }
}

/** Has scapy write the capture: of the i-th kind, 2 ** i packets. */
function write(kinds: readonly string[], seed: number): { hostile: Record<string, string>; good: number } {
  const args = [WRITER, captures.path('in.pcap'), String(seed)];
  return JSON.parse(execFileSync('/usr/bin/python3', args, { input: JSON.stringify(kinds), encoding: 'utf8' }));
}

let stop: () => Promise<void>;

/** Runs lbd over the capture until it has seen all packets. */
async function replay(packets: number): Promise<void> {
  const vip = { prefix: '10.10.2.2/32', encap: 'nat4', as: SERVERS.map((address) => ({ address })) };
  const config = captures.writeConfig({
    interfaces: [
      { name: 'wan0', driver: 'pcap', in: captures.path('in.pcap'), punt: captures.path('punt.pcap') },
      { name: 'lan0', driver: 'pcap', out: captures.path('out.pcap') },
    ],
    vips: [
      { ...vip, protocol: 'tcp', port: 8080, target_port: 80 },
      { ...vip, protocol: 'udp', port: 5353, target_port: 53 },
    ],
  });
  const { child, ended } = captures.start('lbd', ['--config', config]);
  stop = async () => {
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
  };
  await until(async () => {
    const [wan] = (await client.command('show interface')).data as { rxPackets: number }[];
    return wan!.rxPackets === packets;
  });
  // The last ones may still be under way. If some never end, what is expected of the counts says it better.
  const free = async () => {
    const { workers } = (await client.command('show runtime')).data as Runtime;
    return workers.every(({ buffers, freeBuffers }) => freeBuffers === buffers);
  };
  await until(free).catch(() => {});
}

/** The kinds that each counter counted: a binary digit of it each. */
function decode(counters: readonly NodeCounter[], kinds: readonly string[]): Reasons {
  const named = counters.map(({ node, name, count }) => [`${node}/${name}`, count] as const);
  const told = named.filter(([key, count]) => count > 0 && !NO_REASONS.includes(key));
  const digits = (count: number) => [
    ...kinds.filter((_, i) => (count >>> i) & 1),
    ...(count >= 2 ** kinds.length ? ['more than there are'] : []),
  ];
  return sorted(Object.fromEntries(told.map(([key, count]) => [key, digits(count)])));
}

function sorted(reasons: Reasons): Reasons {
  return Object.fromEntries(Object.entries(reasons).map(([reason, kinds]) => [reason, [...kinds].sort()]));
}
