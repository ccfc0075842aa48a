import { Fib4, NO_ROUTE, Reclaimer } from '@lbd/fib';
import { LbBench } from '@lbd/lb/testing';
import { addressBytes, expectPacket, ip4, ip4Number, packet, tcp, udp, verifies } from '@lbd/packet';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { nat4 } from './index.ts';

const WEB = {
  prefix: '90.0.0.1/32',
  protocol: 'tcp',
  port: 8080,
  encap: 'nat4',
  type: 'clusterip',
  targetPort: 80,
  newLen: 1024,
  srcIpSticky: false,
} as const;
const DNS = { ...WEB, protocol: 'udp', port: 20000, targetPort: 3307 } as const;
const SERVERS = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
/** The interface of the servers. */
const LAN = 1;

let bench: LbBench;
let fib: Fib4;
beforeEach(async () => {
  bench = await LbBench.create([nat4], {
    fib: (arena) => {
      fib = new Fib4(arena, new Reclaimer());
      return fib.address;
    },
    encapOptions: { sessions: 4096 },
  });
  bench.features.set('lb-nat4-in2out', LAN, true);
  for (const vip of [WEB, DNS]) {
    await bench.lb.addVip(vip);
    await bench.lb.addServers({ vip, addresses: SERVERS, flush: false });
  }
});

const client = (n: number) => ({ src: `1.2.${n >> 8}.${n & 255}`, sport: 1024 + n });
const request = (n: number, flags = 'S') =>
  packet(
    ip4({ src: client(n).src, dst: '90.0.0.1', ttl: 33 }),
    tcp({ sport: client(n).sport, dport: 8080, flags }),
    `request ${n}`,
  );
const query = (n: number, dport = 20000) =>
  packet(ip4({ src: client(n).src, dst: '90.0.0.1' }), udp({ sport: client(n).sport, dport }), `query ${n}`);
const reply = (server: string, n: number, flags = 'SA') =>
  packet(ip4({ src: server, dst: client(n).src }), tcp({ sport: 80, dport: client(n).sport, flags }), `reply ${n}`);
const answer = (server: string, n: number) =>
  packet(ip4({ src: server, dst: client(n).src }), udp({ sport: 3307, dport: client(n).sport }), `answer ${n}`);

const one = (bytes: Uint8Array, rx = 0) => {
  const out = bench.send([bytes], rx);
  expect(out).toHaveLength(1);
  return out[0]!;
};
const serverOf = (bytes: Uint8Array) => bytes.slice(16, 20).join('.');

describe('both directions', () => {
  it('give clients of TCP and UDP the very address and port back that they used', () => {
    for (let n = 0; n < 50; n++) {
      const there = one(request(n));
      const server = serverOf(there.bytes);
      expect(SERVERS).toContain(server);
      expectPacket(
        there.bytes,
        ip4({ src: client(n).src, dst: server, ttl: 33 }),
        tcp({ sport: client(n).sport, dport: 80 }),
        `request ${n}`,
      );
      const back = one(reply(server, n), LAN);
      expectPacket(
        back.bytes,
        ip4({ src: '90.0.0.1', dst: client(n).src }),
        tcp({ sport: 8080, dport: client(n).sport }),
        `reply ${n}`,
      );
      const asked = one(query(n));
      const said = one(answer(serverOf(asked.bytes), n), LAN);
      expectPacket(
        said.bytes,
        ip4({ src: '90.0.0.1', dst: client(n).src }),
        udp({ sport: 20000, dport: client(n).sport }),
        `answer ${n}`,
      );
    }
    expect(bench.bench.counters('nat4')).toEqual({ 'sessions created': 100 });
    expect(bench.bench.counters('lb-nat4-in2out')).toEqual({ translated: 100 });
  });

  it('leave checksums right, none none, and damage visible', () => {
    const arbitrary = fc.record({
      n: fc.nat(2000),
      payload: fc.uint8Array({ maxLength: 60 }),
      kind: fc.constantFrom('tcp', 'udp', 'none', 'damaged'),
    });
    fc.assert(
      fc.property(arbitrary, ({ n, payload, kind }) => {
        const l4 = { sport: client(n).sport, dport: kind === 'tcp' ? 8080 : 20000 };
        const header = kind === 'tcp' ? tcp(l4) : udp(kind === 'none' ? { ...l4, checksum: 0 } : l4);
        const before = packet(ip4({ src: client(n).src, dst: '90.0.0.1' }), header, payload);
        if (kind === 'damaged') before[27]! ^= 0x10;
        const after = one(before).bytes;
        const field = kind === 'tcp' ? 36 : 26;
        const checksum = (after[field]! << 8) | after[field + 1]!;
        // The reference: the same packet made anew.
        const to = serverOf(after);
        const fresh = packet(
          ip4({ src: client(n).src, dst: to }),
          kind === 'tcp' ? tcp({ ...l4, dport: 80 }) : udp({ ...l4, dport: 3307 }),
          payload,
        );
        if (kind === 'none') expect(checksum).toBe(0);
        else if (kind === 'damaged') expect([...after]).not.toEqual([...fresh]);
        else expect([...after]).toEqual([...fresh]);
        expect(verifies(after.subarray(0, 20))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('send a UDP checksum that computes to 0 as 0xffff', () => {
    const at = (extra: number) =>
      one(
        packet(
          ip4({ src: '1.2.0.9', dst: '90.0.0.1' }),
          udp({ sport: 77, dport: 20000 }),
          Uint8Array.of(extra >> 8, extra & 255),
        ),
      ).bytes;
    const seen = new Set<number>();
    let found = false;
    for (let extra = 0; extra < 65536 && !found; extra += 1) {
      const out = at(extra);
      const checksum = (out[26]! << 8) | out[27]!;
      expect(checksum).not.toBe(0);
      seen.add(checksum);
      found = checksum === 0xffff;
    }
    expect(found).toBe(true);
  }, 60_000);
});

describe('sessions', () => {
  it('keep their server when it is deleted or drained, until they end', async () => {
    const servers = Array.from({ length: 40 }, (_, n) => serverOf(one(request(n)).bytes));
    await bench.lb.deleteServers({ vip: WEB, addresses: ['10.0.0.1'], flush: false });
    await bench.lb.setWeight({ vip: WEB, address: '10.0.0.2', weight: 0, flush: false });
    const after = servers.map((_, n) => serverOf(one(request(n, 'A')).bytes));
    expect(after).toEqual(servers);
    expect(bench.lb.vips()[0]!.servers.map(({ address, state }) => `${address} ${state}`)).toContain(
      '10.0.0.1 removed',
    );
  });

  it('move at once with flush', async () => {
    const servers = Array.from({ length: 40 }, (_, n) => serverOf(one(request(n)).bytes));
    await bench.lb.deleteServers({ vip: WEB, addresses: ['10.0.0.1'], flush: true });
    const after = servers.map((_, n) => serverOf(one(request(n, 'A')).bytes));
    expect(after).not.toContain('10.0.0.1');
    expect(after.filter((_, n) => servers[n] !== '10.0.0.1')).toEqual(servers.filter((s) => s !== '10.0.0.1'));
    expect(bench.lb.vips()[0]!.servers).toHaveLength(2);
  });

  const states: [string, number, (n: number) => void][] = [
    ['a SYN without an answer', 240, (n) => one(request(n))],
    ['an established connection', 7440, (n) => one(reply(serverOf(one(request(n)).bytes), n), LAN)],
    [
      'a connection reset',
      60,
      (n) => {
        one(reply(serverOf(one(request(n)).bytes), n), LAN);
        one(request(n, 'R'));
      },
    ],
    [
      'a connection closed by both',
      60,
      (n) => {
        const server = serverOf(one(request(n)).bytes);
        one(reply(server, n, 'FA'), LAN);
        one(request(n, 'FA'));
      },
    ],
    [
      'a connection closed by one',
      7440,
      (n) => {
        one(reply(serverOf(one(request(n)).bytes), n, 'FA'), LAN);
      },
    ],
    ['a UDP flow', 300, (n) => one(answer(serverOf(one(query(n)).bytes), n), LAN)],
  ];
  it.each(states)('end some time after %s: %i s', async (_, seconds, play) => {
    play(1);
    const live = () => bench.lb.summary().sessions[0]!.sessions;
    bench.now += (seconds - 1) * 1000;
    await bench.lb.sweep();
    expect(live()).toBe(1);
    bench.now += 2000;
    await bench.lb.sweep();
    expect(live()).toBe(0);
  });

  it('are made once for the packets of a new flow that come together', () => {
    const out = bench.send([query(1), query(1), query(1), request(1), request(1)]);
    expect(new Set(out.slice(0, 3).map(({ bytes }) => serverOf(bytes))).size).toBe(1);
    expect(bench.bench.counters('nat4')).toEqual({ 'sessions created': 2 });
  });

  it('are found by whole tuples when flow hashes are the same', async () => {
    const sticky = { ...DNS, prefix: '90.0.0.5/32', srcIpSticky: true } as const;
    await bench.lb.addVip(sticky);
    await bench.lb.addServers({ vip: sticky, addresses: SERVERS, flush: false });
    const ask = (sport: number) => packet(ip4({ src: '9.9.9.9', dst: '90.0.0.5' }), udp({ sport, dport: 20000 }));
    for (let turn = 0; turn < 2; turn++) for (let sport = 1; sport <= 20; sport++) one(ask(sport));
    expect(bench.bench.counters('nat4')).toEqual({ 'sessions created': 20 });
    for (let sport = 1; sport <= 20; sport++) {
      const server = serverOf(one(ask(sport)).bytes);
      const back = packet(ip4({ src: server, dst: '9.9.9.9' }), udp({ sport: 3307, dport: sport }));
      expectPacket(one(back, LAN).bytes, ip4({ src: '90.0.0.5' }), udp({ sport: 20000, dport: sport }));
    }
  });

  it('are used again: many more flows than the table holds, one after the other', async () => {
    for (let n = 0; n < 12_000; n++) {
      one(query(n));
      if (n % 3000 === 2999) {
        bench.now += 301_000;
        await bench.lb.sweep();
      }
    }
    expect(bench.bench.counters('nat4')).toEqual({ 'sessions created': 12_000 });
    expect(bench.lb.summary().sessions[0]).toEqual({ name: 'nat4', sessions: 0, capacity: 4096 });
  }, 60_000);

  it('are refused and counted when the table is full, and flows that have one go on', () => {
    for (let n = 0; n < 4096; n++) one(query(n));
    expect(bench.send([query(5000)])).toHaveLength(0);
    expect(bench.bench.counters('nat4')).toMatchObject({ 'session table full': 1 });
    expect(bench.send([query(7)])).toHaveLength(1);
  }, 60_000);

  it('do not come back to life with a server that has taken the place of theirs', async () => {
    const only = { ...DNS, prefix: '90.0.0.6/32' } as const;
    await bench.lb.addVip(only);
    await bench.lb.addServers({ vip: only, addresses: ['10.0.0.7'], flush: false });
    const ask = packet(ip4({ src: '8.8.8.8', dst: '90.0.0.6' }), udp({ sport: 5, dport: 20000 }));
    expect(serverOf(one(ask).bytes)).toBe('10.0.0.7');
    bench.now += 400_000;
    await bench.lb.deleteServers({ vip: only, addresses: ['10.0.0.7'], flush: false });
    await bench.lb.addServers({ vip: only, addresses: ['10.0.0.8'], flush: false });
    const out = one(ask);
    expect(serverOf(out.bytes)).toBe('10.0.0.8');
    expect(out.dpo & 0xffffff).toBe(8);
  });

  it('begin anew when a client uses the port of a closed connection again', async () => {
    const server = serverOf(one(request(1)).bytes);
    one(reply(server, 1, 'FA'), LAN);
    one(request(1, 'FA'));
    await bench.lb.deleteServers({ vip: WEB, addresses: [server], flush: false });
    bench.now += 41_000;
    const next = serverOf(one(request(1)).bytes);
    expect(next).not.toBe(server);
    expect(one(reply(next, 1), LAN).bytes.slice(12, 16).join('.')).toBe('90.0.0.1');
  });
});

describe('two VIPs that share servers and target port', () => {
  it('answer each flow from its own address, also for one client port', async () => {
    const other = { ...WEB, prefix: '90.0.0.2/32', port: 9090 } as const;
    await bench.lb.addVip(other);
    await bench.lb.addServers({ vip: other, addresses: SERVERS, flush: false });
    const to = (n: number, dst: string, dport: number) =>
      packet(ip4({ src: client(n).src, dst }), tcp({ sport: client(n).sport, dport }));
    for (let n = 0; n < 100; n++) {
      const first = serverOf(one(to(n, '90.0.0.1', 8080)).bytes);
      const second = serverOf(one(to(n, '90.0.0.2', 9090)).bytes);
      expect(first).not.toBe(second);
      expectPacket(one(reply(first, n), LAN).bytes, ip4({ src: '90.0.0.1' }), tcp({ sport: 8080 }));
      expectPacket(one(reply(second, n), LAN).bytes, ip4({ src: '90.0.0.2' }), tcp({ sport: 9090 }));
    }
    expect(bench.bench.counters('nat4')['other server taken']).toBeGreaterThan(10);
  });

  it('drop a flow, counted, whose replies nobody could tell apart', async () => {
    const other = { ...WEB, prefix: '90.0.0.2/32', port: 9090 } as const;
    const only = { ...WEB, prefix: '90.0.0.3/32', port: 9090 } as const;
    for (const vip of [other, only]) {
      await bench.lb.addVip(vip);
      await bench.lb.addServers({ vip, addresses: ['10.0.0.9'], flush: false });
    }
    const to = (dst: string) => packet(ip4({ src: '7.7.7.7', dst }), tcp({ sport: 5, dport: 9090 }));
    one(to('90.0.0.2'));
    expect(bench.send([to('90.0.0.3')])).toHaveLength(0);
    expect(bench.bench.counters('nat4')).toMatchObject({ 'port in use': 1 });
  });
});

describe('packets without a session', () => {
  it('from the port of a server of one VIP get its address', () => {
    expectPacket(one(reply('10.0.0.1', 5), LAN).bytes, ip4({ src: '90.0.0.1' }), tcp({ sport: 8080 }), 'reply 5');
    expect(bench.bench.counters('lb-nat4-in2out')).toEqual({ 'static mapping': 1 });
  });

  it('are left alone when two VIPs could be meant, or none, or this host', async () => {
    const other = { ...WEB, prefix: '90.0.0.2/32', port: 9090 } as const;
    await bench.lb.addVip(other);
    await bench.lb.addServers({ vip: other, addresses: ['10.0.0.1'], flush: false });
    fib.add(ip4Number(addressBytes('1.2.0.6')), 32, 2 << 24);
    const ssh = packet(ip4({ src: '10.0.0.2', dst: '1.2.0.5' }), tcp({ sport: 22, dport: 999 }));
    const toHost = reply('10.0.0.2', 6);
    for (const bytes of [reply('10.0.0.1', 5), ssh, toHost]) {
      const out = one(bytes, LAN);
      expect(out.node).toBe('punt');
      expect([...out.bytes]).toEqual([...bytes]);
    }
    await bench.lb.deleteVip(other);
    expect(one(reply('10.0.0.1', 5), LAN).node).toBe('sink');
  });

  it('go on to a VIP: a server may be a client, too', () => {
    fib.add(ip4Number(addressBytes('90.0.0.1')), 32, 9 << 24);
    const out = one(packet(ip4({ src: '10.0.0.1', dst: '90.0.0.1' }), tcp({ sport: 5, dport: 8080 })), LAN);
    expect(SERVERS).toContain(serverOf(out.bytes));
  });
});

describe('a server without a route', () => {
  it('costs its packets, counted with the reason', async () => {
    await bench.lb.deleteServers({ vip: WEB, addresses: ['10.0.0.2', '10.0.0.3'], flush: false });
    bench.route('10.0.0.1', NO_ROUTE);
    expect(bench.send([request(1)])).toHaveLength(0);
    expect(bench.bench.counters('nat4')).toMatchObject({ 'no route': 1 });
    bench.route('10.0.0.1', (3 << 24) | 1);
    expect(bench.send([request(1)])).toHaveLength(1);
    expect(bench.bench.counters('graph')).toEqual({});
  });
});

describe('packets cut short', () => {
  it('are never read beyond their end', () => {
    const whole = request(3);
    for (let length = 20; length < 40; length++) {
      const out = bench.send([whole.slice(0, length)]);
      expect(out.filter(({ node }) => node !== 'punt')).toHaveLength(0);
    }
    expect(bench.lb.summary().sessions[0]!.sessions).toBe(0);
  });
});
