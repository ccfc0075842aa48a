import { beforeEach, describe, expect, it } from 'vitest';
import { hex, scapy, unhex } from '../../packet/test/scapy.ts';
import { DNS, destinationOf, FAMILIES, type Family, LAN, l4Packet, NatBench, sourceOf, WEB } from '../test/family.ts';

/** A datagram of 1,000 bytes of payload. */
interface Datagram {
  protocol: 'tcp' | 'udp';
  src: string;
  dst: string;
  sport: number;
  dport: number;
  id: number;
  /** UDP without a checksum. */
  none?: boolean;
}

/** Each datagram in fragments, as scapy cuts them. */
function fragments(f: Family, datagrams: readonly Datagram[]): Uint8Array[][] {
  return scapy<string[][]>(
    `
from scapy.layers.inet import fragment
out = []
for d in input['datagrams']:
    l4 = (TCP(flags='A') if d['protocol'] == 'tcp' else UDP())
    l4.sport, l4.dport = d['sport'], d['dport']
    if d.get('none'): l4.chksum = 0
    data = Raw(bytes(i % 251 for i in range(1000)))
    if input['family'] == 4:
        pieces = IP(src=d['src'], dst=d['dst'], id=d['id']) / l4 / data
        pieces = fragment(IP(bytes(pieces)), 400)
    else:
        whole = IPv6(src=d['src'], dst=d['dst']) / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(id=d['id']) / l4 / data
        pieces = fragment6(whole, 448)
    out.append([bytes(piece).hex() for piece in pieces])
`,
    { family: f.family, datagrams },
  ).map((pieces) => pieces.map(unhex));
}

describe.each(FAMILIES)('fragments, $name', (f) => {
  let nat: NatBench;
  beforeEach(async () => {
    nat = await NatBench.create(f);
  });
  const query = (n: number): Datagram => ({
    protocol: n % 2 === 0 ? 'udp' : 'tcp',
    src: f.client(n),
    dst: f.vip(1),
    sport: 1024 + n,
    dport: n % 2 === 0 ? DNS.port : WEB.port,
    id: n,
    none: n % 4 === 0,
  });
  const answer = (n: number, server: string): Datagram => ({
    ...query(n),
    src: server,
    dst: f.client(n),
    sport: n % 2 === 0 ? DNS.targetPort : WEB.targetPort,
    dport: 1024 + n,
  });
  /** The server that a flow has, from a packet of its own. */
  const open = (n: number) => {
    const { protocol, src, sport, dst, dport } = query(n);
    return destinationOf(nat.one(l4Packet(f, protocol, { src, sport }, { dst, dport })).bytes);
  };
  const texts = (packets: readonly Uint8Array[]) => packets.map(hex);
  const NUMBERS = Array.from({ length: 12 }, (_, n) => n);

  it.each(['in order', 'the last first'])(
    'of clients go to one server, %s, as scapy would have cut what it gets',
    (order) => {
      const datagrams = fragments(f, NUMBERS.map(query));
      const outs = datagrams.map((pieces) => {
        const out = nat.send(order === 'in order' ? pieces : [...pieces].reverse());
        return out.map(({ bytes }) => bytes);
      });
      const expected = fragments(
        f,
        NUMBERS.map((n) => {
          const [first] = outs[n]!;
          const dport = n % 2 === 0 ? DNS.targetPort : WEB.targetPort;
          return { ...query(n), dst: destinationOf(first!), dport };
        }),
      );
      expect(datagrams[0]!.length).toBeGreaterThan(2);
      for (const n of NUMBERS) expect(texts(outs[n]!).sort()).toEqual(texts(expected[n]!).sort());
      expect(nat.counters()).toEqual({ 'sessions created': NUMBERS.length });
    },
  );

  it('follow a session that was moved to another server', async () => {
    await nat.add(nat.vip(2, { ...WEB, port: 9090 }));
    const second = (n: number): Datagram => ({ ...query(n), protocol: 'tcp', dst: f.vip(2), dport: 9090, none: false });
    const datagrams = fragments(f, NUMBERS.map(second));
    for (const n of NUMBERS) {
      const from = { src: f.client(n), sport: 1024 + n };
      nat.one(l4Packet(f, 'tcp', from, { dst: f.vip(1), dport: 8080 }));
      const out = nat.send(datagrams[n]!).map(({ bytes }) => destinationOf(bytes));
      expect(out).toHaveLength(datagrams[n]!.length);
      expect(new Set(out).size).toBe(1);
      expect(out[0]).not.toBe(f.vip(2));
    }
    expect(nat.counters()['other server taken']).toBeGreaterThan(1);
  });

  it('follow a session that the sticky table has forgotten, where no server takes new flows', async () => {
    const servers = NUMBERS.map(open);
    for (const service of [WEB, DNS]) {
      for (const n of [1, 2, 3]) {
        await nat.lb.lb.setWeight({ vip: nat.vip(1, service), address: f.server(n), weight: 0, flush: false });
      }
    }
    const datagrams = fragments(f, NUMBERS.map(query));
    for (const order of ['in order', 'the last first']) {
      nat.lb.now += 100_000;
      for (const n of NUMBERS) {
        const pieces = datagrams[n]!;
        const out = nat.send(order === 'in order' ? pieces : [...pieces].reverse());
        expect(out.map(({ bytes }) => destinationOf(bytes))).toEqual(pieces.map(() => servers[n]));
      }
    }
    // Of no session: neither sent on, nor left to the kernel.
    const [others] = fragments(f, [query(100)]);
    expect(nat.send(others!)).toEqual([]);
  });

  // Where source addresses alone tell flows apart in the sticky table, that knows of a client's flows the last one.
  describe('of one of several flows of a client that has them on several servers, for its address chooses', () => {
    const BY_SOURCE = { protocol: 'udp', port: 5353, targetPort: 53 } as const;
    const flow = (sport: number): Datagram => ({ ...query(0), dst: f.vip(3), sport, dport: BY_SOURCE.port, id: sport });
    const whole = (sport: number) => {
      const { src, dst, dport } = flow(sport);
      return l4Packet(f, 'udp', { src, sport }, { dst, dport });
    };
    const destinations = (packets: readonly Uint8Array[]) =>
      nat.send([...packets]).map(({ bytes }) => destinationOf(bytes));
    let servers: string[];
    beforeEach(async () => {
      const vip = nat.vip(3, BY_SOURCE, { srcIpSticky: true });
      await nat.add(vip);
      const [one] = destinations([whole(1000)]);
      nat.lb.now += 60_000;
      await nat.lb.lb.setWeight({ vip, address: one!, weight: 0, flush: false });
      const [other] = destinations([whole(2000)]);
      expect(other).not.toBe(one);
      servers = [one!, other!];
      expect(destinations([whole(1000), whole(2000)])).toEqual(servers);
    });

    it.each([0, 1])('go where their flow is: %i', (n) => {
      const [mine, others] = n === 0 ? [1000, 2000] : [2000, 1000];
      const [pieces] = fragments(f, [flow(mine)]);
      expect(destinations([whole(others)])).toEqual([servers[1 - n]]);
      expect(destinations(pieces!)).toEqual(pieces!.map(() => servers[n]));
      // one by one, with the other flow's between
      for (const piece of pieces!) {
        expect(destinations([piece])).toEqual([servers[n]]);
        expect(destinations([whole(others)])).toEqual([servers[1 - n]]);
      }
    });
  });

  it('of servers come from the VIP, as scapy would have cut what the client gets', () => {
    const servers = NUMBERS.map(open);
    const datagrams = fragments(
      f,
      NUMBERS.map((n) => answer(n, servers[n]!)),
    );
    const expected = fragments(
      f,
      NUMBERS.map((n) => ({ ...answer(n, f.vip(1)), sport: query(n).dport })),
    );
    for (const n of NUMBERS) {
      const out = nat.send(datagrams[n]!, LAN).map(({ bytes }) => bytes);
      expect(texts(out)).toEqual(texts(expected[n]!));
    }
    const total = datagrams.flat().length;
    expect(nat.in2out()).toEqual({ translated: total });
  });

  it('of servers without a session do, too, where the static mapping says so', () => {
    const n = 2;
    const [pieces, expected] = fragments(f, [
      answer(n, f.server(1)),
      { ...answer(n, f.vip(1)), sport: query(n).dport },
    ]);
    expect(texts(nat.send(pieces!, LAN).map(({ bytes }) => bytes))).toEqual(texts(expected!));
    expect(nat.in2out()).toEqual({ 'static mapping': pieces!.length });
  });

  it('of servers whose first has not been seen are left to the kernel', async () => {
    const server = open(2);
    const [pieces] = fragments(f, [answer(2, server)]);
    const [first, ...later] = pieces!;
    for (const piece of later) expect(nat.one(piece, LAN).node).toBe('punt');
    expect(sourceOf(nat.one(first!, LAN).bytes)).toBe(f.vip(1));
    expect(nat.one(later[0]!, LAN).node).toBe('sink');
    // Nor are those of a session that has ended since.
    await nat.lb.lb.flushVip(nat.vip(1, DNS));
    expect(nat.one(later[0]!, LAN).node).toBe('punt');
  });

  it('of servers that would expire here are not translated', () => {
    const [pieces] = fragments(f, [answer(2, open(2))]);
    nat.one(pieces![0]!, LAN);
    const piece = pieces![1]!;
    if (f.family === 6) piece[7] = 1;
    else {
      // The TTL is the high byte of its word: 63 less of it is 63 more in the checksum.
      const checksum = ((piece[10]! << 8) | piece[11]!) + (63 << 8);
      const folded = (checksum & 0xffff) + (checksum >> 16);
      piece.set([1], 8);
      piece.set([folded >> 8, folded & 255], 10);
    }
    expect(hex(nat.one(piece, LAN).bytes)).toBe(hex(piece));
    expect(nat.in2out()).toEqual({ translated: 1, expiring: 1 });
  });
});
