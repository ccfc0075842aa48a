import { DPO_FIRST_FREE, dpo } from '@lbd/fib';
import { expectPacket, packet, udp } from '@lbd/packet';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { hex, scapy, unhex } from '../../packet/test/scapy.ts';
import {
  DNS,
  destinationOf,
  type Endpoint,
  FAMILIES,
  type Family,
  icmpError,
  LAN,
  l4Packet,
  NatBench,
  sourceOf,
  WEB,
} from '../test/family.ts';

/** The packet that an error is about, and who says it to whom. */
interface ErrorAbout {
  from: string;
  to: string;
  kind: string;
  source: Endpoint;
  destination: Endpoint;
  protocol: 'tcp' | 'udp';
  /** Bytes of the quoted packet that are there. */
  quoted: number;
  /** Options, or an extension header, in the quoted packet. */
  options?: boolean;
  /** UDP without a checksum. */
  none?: boolean;
}

/** Builds errors with scapy, all checksums its own. (icmpError() is faster: scapy takes half a second to start.) */
function errors(f: Family, list: readonly ErrorAbout[]): Uint8Array[] {
  return scapy<string[]>(
    `
from scapy.layers.inet import IPOption
out = []
for e in input['list']:
    L4 = TCP if e['protocol'] == 'tcp' else UDP
    l4 = L4(sport=e['source']['port'], dport=e['destination']['port'])
    if e.get('none'): l4.chksum = 0
    if input['family'] == 4:
        ip = IP(src=e['source']['address'], dst=e['destination']['address'], id=7, ttl=9)
        if e.get('options'): ip.options = [IPOption(b'\\x94\\x04\\x00\\x00'), IPOption(b'\\x01'), IPOption(b'\\x01')]
        kinds = {'unreachable': ICMP(type=3, code=3), 'frag needed': ICMP(type=3, code=4, nexthopmtu=1280), 'time exceeded': ICMP(type=11), 'parameter problem': ICMP(type=12)}
        outer = IP(src=e['from'], dst=e['to']) / kinds[e['kind']]
    else:
        ip = IPv6(src=e['source']['address'], dst=e['destination']['address'], hlim=9)
        if e.get('options'): ip = ip / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop()
        kinds = {'unreachable': ICMPv6DestUnreach(code=4), 'frag needed': ICMPv6PacketTooBig(mtu=1280), 'time exceeded': ICMPv6TimeExceeded(), 'parameter problem': ICMPv6ParamProblem()}
        outer = IPv6(src=e['from'], dst=e['to']) / kinds[e['kind']]
    about = bytes(ip / l4 / Raw(b'what was sent to the other side'))
    out.append(bytes(outer / Raw(about[:e['quoted']])).hex())
`,
    { family: f.family, list },
  ).map(unhex);
}

const KINDS = ['unreachable', 'frag needed', 'time exceeded', 'parameter problem'];

describe.each(FAMILIES)('ICMP errors, $name', (f) => {
  let nat: NatBench;
  beforeEach(async () => {
    nat = await NatBench.create(f);
  });
  const CLIENT = { address: f.client(7), port: 4711 };
  const whole = f.ipBytes + 20;

  /** Opens a flow; returns its server and the VIP's side. */
  const open = (protocol: 'tcp' | 'udp') => {
    const service = protocol === 'tcp' ? WEB : DNS;
    const vip = { address: f.vip(1), port: service.port };
    const to = { dst: vip.address, dport: vip.port };
    const out = nat.one(l4Packet(f, protocol, { src: CLIENT.address, sport: CLIENT.port }, to));
    return { vip, server: { address: destinationOf(out.bytes), port: service.targetPort } };
  };

  const arbitrary = fc.record({
    kind: fc.constantFrom(...KINDS),
    protocol: fc.constantFrom('tcp', 'udp'),
    // Of half a checksum (TCP's is at 16) nobody can tell what it was.
    quoted: fc.integer({ min: f.ipBytes + 8, max: f.ipBytes + 40 }).filter((bytes) => bytes !== f.ipBytes + 17),
    options: fc.boolean(),
    none: fc.boolean(),
    fromServer: fc.boolean(),
  });

  it.each(['to the VIP', 'from the side of the servers'])(
    '%s quote what its receiver sent, in every checksum, as scapy builds them',
    (way) => {
      const cases = fc.sample(arbitrary, { numRuns: 60, seed: 5 }).map((sample) => {
        const { vip, server } = open(sample.protocol as 'tcp' | 'udp');
        const room = sample.options ? (f.family === 4 ? 8 : 16) : 0;
        const common = {
          ...sample,
          protocol: sample.protocol as 'tcp' | 'udp',
          none: sample.none && sample.protocol === 'udp',
          quoted: sample.quoted + room,
        };
        if (way === 'to the VIP') {
          const from = f.client(99);
          const before = { ...common, from, to: vip.address, source: vip, destination: CLIENT };
          return { before, after: { ...before, to: server.address, source: server }, rx: 0 };
        }
        const from = sample.fromServer ? server.address : f.router;
        const before = { ...common, from, to: CLIENT.address, source: CLIENT, destination: server };
        const after = { ...before, from: sample.fromServer ? vip.address : f.router, destination: vip };
        return { before, after, rx: LAN };
      });
      const built = errors(
        f,
        cases.flatMap((c) => [c.before, c.after]),
      );
      for (const [i, { before: about, rx }] of cases.entries()) {
        const [before, after] = built.slice(2 * i, 2 * i + 2);
        const [out] = nat.send([before!], rx);
        expect([out?.node, hex(out?.bytes ?? new Uint8Array())], JSON.stringify(about)).toEqual(['sink', hex(after!)]);
      }
      const counters = way === 'to the VIP' ? nat.counters() : nat.in2out();
      expect(counters).toMatchObject({ 'errors translated': 60 });
    },
  );

  /** A flow, and errors about packets of it: of its server to the VIP, and of its client. */
  const about = (more: Partial<ErrorAbout>) => {
    const { vip, server } = open('tcp');
    const common = { kind: 'unreachable', protocol: 'tcp', quoted: whole, from: f.router, ...more } as const;
    const toVip = { ...common, to: vip.address, source: vip, destination: CLIENT };
    const toClient = { ...common, to: CLIENT.address, source: CLIENT, destination: server };
    return { vip, server, toVip, toClient };
  };

  it('go to the server that the flow was moved to, not to the one first chosen', async () => {
    await nat.add(nat.vip(2, { ...WEB, port: 9090 }));
    let moved = 0;
    for (let n = 0; n < 40; n++) {
      const from = { src: f.client(n), sport: 1024 + n };
      nat.one(l4Packet(f, 'tcp', from, { dst: f.vip(1), dport: 8080 }));
      const second = destinationOf(nat.one(l4Packet(f, 'tcp', from, { dst: f.vip(2), dport: 9090 })).bytes);
      const source = { address: f.vip(2), port: 9090 };
      const destination = { address: f.client(n), port: 1024 + n };
      const outer = { from: f.router, to: f.vip(2) };
      const quoted = l4Packet(f, 'tcp', { src: source.address, sport: 9090 }, { dst: f.client(n), dport: 1024 + n });
      const bytes = packet(
        f.ip({ src: outer.from, dst: outer.to }),
        f.icmp({ type: f.timeExceeded }),
        quoted.slice(0, whole),
      );
      const before = nat.counters()['other server taken'] ?? 0;
      expect(destinationOf(nat.one(bytes).bytes), destination.address).toBe(second);
      moved = before;
    }
    expect(moved).toBeGreaterThan(5);
  });

  it('about a flow without a session go to the server that the VIP would choose, as its packets', () => {
    const source = { address: f.vip(1), port: 8080 };
    const outer = { from: f.router, to: f.vip(1) };
    const bytes = icmpError(f, { protocol: 'tcp', quoted: whole, ...outer, source, destination: CLIENT });
    const to = destinationOf(nat.one(bytes).bytes);
    expect(nat.lb.lb.summary().sessions[0]!.sessions).toBe(0);
    expect(open('tcp').server.address).toBe(to);
  });

  it('go to the server of their session, or nowhere, where no server takes new flows', async () => {
    const { server } = open('tcp');
    for (const n of [1, 2, 3]) {
      await nat.lb.lb.setWeight({ vip: nat.vip(1, WEB), address: f.server(n), weight: 0, flush: false });
    }
    nat.lb.now += 100_000;
    const source = { address: f.vip(1), port: 8080 };
    const outer = { from: f.router, to: f.vip(1) };
    const error = { protocol: 'tcp', quoted: whole, ...outer, source, destination: CLIENT } as const;
    expect(destinationOf(nat.one(icmpError(f, error)).bytes)).toBe(server.address);
    const other = { ...error, destination: { ...CLIENT, port: 9 } };
    expect(nat.send([icmpError(f, other)])).toEqual([]);
    expect(nat.counters()).toMatchObject({ 'errors translated': 1, 'no server configured': 1 });
  });

  it('keep no session alive (RFC 5508, REQ-6) and make none', async () => {
    const { toVip, toClient } = about({});
    nat.lb.now += 200_000;
    nat.one(icmpError(f, toVip));
    nat.one(icmpError(f, toClient), LAN);
    nat.lb.now += 41_000;
    await nat.lb.lb.sweep();
    expect(nat.lb.lb.summary().sessions[0]!.sessions).toBe(0);
  });

  it('that came in damaged leave damaged', () => {
    const { toVip, toClient } = about({});
    const last = f.ipBytes + 8 + f.ipBytes + 19;
    for (const [rx, sent] of [toVip, toClient].entries()) {
      const before = icmpError(f, sent);
      const right = nat.one(before, rx).bytes;
      const damaged = before.slice();
      damaged[last]! ^= 0x40;
      const wrong = nat.one(damaged, rx).bytes;
      wrong[last]! ^= 0x40;
      expect(hex(wrong)).toBe(hex(right));
    }
  });

  it('about others, and other ICMP, are left to the kernel as they are', () => {
    const { toClient, server } = about({ from: f.server(1) });
    const client = { address: f.client(1000), port: 1 };
    const list = [
      { ...toClient, to: client.address, source: client },
      { ...toClient, destination: { ...server, port: 81 } },
      // To somebody else than who sent what is quoted.
      { ...toClient, to: client.address },
      // Too short for ports, and for an IP header.
      { ...toClient, quoted: f.ipBytes + 3 },
      { ...toClient, quoted: f.ipBytes - 1 },
    ];
    const echoReply = f.icmp({ type: f.family === 4 ? 0 : 129, id: 1 });
    const ping = packet(f.ip({ src: server.address, dst: CLIENT.address }), echoReply);
    for (const bytes of [...list.map((one) => icmpError(f, one)), ping]) {
      const out = nat.one(bytes, LAN);
      expect([out.node, hex(out.bytes)]).toEqual(['punt', hex(bytes)]);
    }
    expect(nat.in2out()).toEqual({});
  });

  it('that would expire here are not translated', () => {
    const bytes = icmpError(f, { ...about({}).toClient, ttl: 1 });
    expect(hex(nat.one(bytes, LAN).bytes)).toBe(hex(bytes));
    expect(nat.in2out()).toEqual({ expiring: 1 });
  });

  it('that a server sends to a VIP whose client it was go on to the VIP', () => {
    nat.leadsTo(f.vip(1), dpo(DPO_FIRST_FREE, 0));
    const vip = { address: f.vip(1), port: 8080 };
    const client = { address: f.server(1), port: 5 };
    const out = nat.one(l4Packet(f, 'tcp', { src: client.address, sport: 5 }, { dst: vip.address, dport: 8080 }), LAN);
    const outer = { from: client.address, to: vip.address };
    const bytes = icmpError(f, { protocol: 'tcp', quoted: whole, ...outer, source: vip, destination: client });
    expect(destinationOf(nat.one(bytes, LAN).bytes)).toBe(destinationOf(out.bytes));
  });

  it('never make anything be read beyond the end of a packet, whatever they say', () => {
    const { toVip, toClient } = about({ options: true, quoted: 200 });
    for (const [rx, before] of errors(f, [toVip, toClient]).entries()) {
      for (let length = f.ipBytes; length < before.length; length++) {
        const short = before.slice(0, length);
        if (f.family === 4) short.set([length >> 8, length & 255], 2);
        else short.set([0, length - 40], 4);
        const [out] = nat.send([short], rx);
        // Behind the packet's end the bench has 0xa5: no more of it comes out.
        expect(out?.bytes.length ?? length).toBe(length);
      }
    }
    expect(nat.lb.bench.counters('graph')).toEqual({});
  });

  it('from a router keep its address: traceroute through a VIP shows the way', () => {
    const { server } = open('udp');
    const quoted = l4Packet(
      f,
      'udp',
      { src: CLIENT.address, sport: CLIENT.port },
      { dst: server.address, dport: 3307 },
    );
    const ip = f.ip({ src: f.router, dst: CLIENT.address });
    const out = nat.one(packet(ip, f.icmp({ type: f.timeExceeded }), quoted), LAN).bytes;
    expect(sourceOf(out)).toBe(f.router);
    const inner = out.slice(f.ipBytes + 8);
    expectPacket(inner, f.ip({ src: CLIENT.address, dst: f.vip(1) }), udp({ sport: CLIENT.port, dport: 20000 }));
  });
});
