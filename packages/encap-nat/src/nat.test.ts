import { DPO_FIRST_FREE, DPO_RECEIVE, dpo, NO_ROUTE } from '@lbd/fib';
import { type FlowEnds, hashOfFlow, twinFlows } from '@lbd/lb/testing';
import { expectPacket, packet, tcp, udp, verifies } from '@lbd/packet';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { DNS, destinationOf, FAMILIES, LAN, l4Packet, NatBench, SERVERS, sourceOf, WEB } from '../test/family.ts';

describe.each(FAMILIES)('$name', (f) => {
  let nat: NatBench;
  beforeEach(async () => {
    nat = await NatBench.create(f);
  });

  const client = (n: number) => ({ src: f.client(n), sport: 1024 + n });
  const there = (n: number) => ({ dst: f.client(n), dport: 1024 + n });
  const web = { dst: f.vip(1), dport: 8080 };
  const request = (n: number, flags = 'S', ttl = 33) =>
    l4Packet(f, 'tcp', client(n), web, { flags, ttl, payload: `request ${n}` });
  const query = (n: number, dport = 20000) =>
    l4Packet(f, 'udp', client(n), { dst: f.vip(1), dport }, { payload: `query ${n}` });
  const reply = (server: number, n: number, flags = 'SA', ttl = 64) =>
    l4Packet(f, 'tcp', { src: f.server(server), sport: 80 }, there(n), { flags, ttl, payload: `reply ${n}` });
  const answer = (server: number, n: number) =>
    l4Packet(f, 'udp', { src: f.server(server), sport: 3307 }, there(n), { payload: `answer ${n}` });
  const one = (bytes: Uint8Array, rx = 0) => nat.one(bytes, rx);
  const serverOf = (bytes: Uint8Array) => nat.serverOf(bytes);

  describe('both directions', () => {
    it('give clients of TCP and UDP the very address and port back that they used', () => {
      for (let n = 0; n < 50; n++) {
        const came = one(request(n));
        const server = serverOf(came.bytes);
        const to = { src: f.client(n), dst: f.server(server), ttl: 33 };
        expectPacket(came.bytes, f.ip(to), tcp({ sport: 1024 + n, dport: 80 }), `request ${n}`);
        const back = one(reply(server, n), LAN);
        const from = f.ip({ src: f.vip(1), dst: f.client(n) });
        expectPacket(back.bytes, from, tcp({ sport: 8080, dport: 1024 + n }), `reply ${n}`);
        const asked = one(query(n));
        expectPacket(asked.bytes, f.ip({ src: f.client(n) }), udp({ sport: 1024 + n, dport: 3307 }), `query ${n}`);
        const said = one(answer(serverOf(asked.bytes), n), LAN);
        expectPacket(said.bytes, from, udp({ sport: 20000, dport: 1024 + n }), `answer ${n}`);
      }
      expect(nat.counters()).toEqual({ 'sessions created': 100 });
      expect(nat.in2out()).toEqual({ translated: 100 });
    });

    const arbitrary = fc.record({
      n: fc.nat(2000),
      payload: fc.uint8Array({ maxLength: 60 }),
      kind: fc.constantFrom('tcp', 'udp', 'none', 'damaged'),
    });
    it('leave checksums right, none none, and damage visible', () => {
      const field = (bytes: Uint8Array, kind: string) => {
        const at = f.ipBytes + (kind === 'tcp' ? 16 : 6);
        return (bytes[at]! << 8) | bytes[at + 1]!;
      };
      const compare = (after: Uint8Array, fresh: Uint8Array, kind: string) => {
        // None is not ours to repair over IPv6 either: the receiver discards it (RFC 8200, section 8.1).
        if (kind === 'none') expect(field(after, kind)).toBe(0);
        else if (kind === 'damaged') expect([...after]).not.toEqual([...fresh]);
        else expect([...after]).toEqual([...fresh]);
        if (f.family === 4) expect(verifies(after.subarray(0, 20))).toBe(true);
      };
      fc.assert(
        fc.property(arbitrary, ({ n, payload, kind }) => {
          const [protocol, service] = kind === 'tcp' ? (['tcp', WEB] as const) : (['udp', DNS] as const);
          const more = { payload, ...(kind === 'none' ? { checksum: 0 } : {}) };
          const send = (...packets: Parameters<typeof l4Packet>) => {
            const bytes = l4Packet(...packets);
            if (kind === 'damaged') bytes[f.ipBytes + 7]! ^= 0x10;
            return bytes;
          };
          const to = { dst: f.vip(1), dport: service.port };
          const after = one(send(f, protocol, client(n), to, more)).bytes;
          const server = f.server(serverOf(after));
          // The reference: the same packet made anew.
          const dnat = { dst: server, dport: service.targetPort };
          compare(after, l4Packet(f, protocol, client(n), dnat, more), kind);
          const from = { src: server, sport: service.targetPort };
          const back = one(send(f, protocol, from, there(n), more), LAN).bytes;
          compare(back, l4Packet(f, protocol, { src: f.vip(1), sport: service.port }, there(n), more), kind);
        }),
        { numRuns: 200 },
      );
    });

    it('send a UDP checksum that computes to 0 as 0xffff', () => {
      const checksum = (bytes: Uint8Array) => (bytes[f.ipBytes + 6]! << 8) | bytes[f.ipBytes + 7]!;
      const word = (value: number) => Uint8Array.of(value >> 8, value & 255);
      const ask = (payload: Uint8Array) =>
        one(l4Packet(f, 'udp', client(9), { dst: f.vip(1), dport: 20000 }, { payload }));
      // A word more in the payload is a word less in the checksum.
      const plain = ask(word(0)).bytes;
      expect(checksum(ask(word(checksum(plain) - 1)).bytes)).toBe(1);
      expect(checksum(ask(word(checksum(plain))).bytes)).toBe(0xffff);
      const say = (payload: Uint8Array) =>
        one(l4Packet(f, 'udp', { src: f.server(serverOf(plain)), sport: 3307 }, there(9), { payload }), LAN).bytes;
      expect(checksum(say(word(checksum(say(word(0))))))).toBe(0xffff);
    });
  });

  describe('sessions', () => {
    it('keep their server when it is deleted or drained, until they end', async () => {
      const servers = Array.from({ length: 40 }, (_, n) => serverOf(one(request(n)).bytes));
      const vip = nat.vip(1, WEB);
      await nat.lb.lb.deleteServers({ vip, addresses: [f.server(1)], flush: false });
      await nat.lb.lb.setWeight({ vip, address: f.server(2), weight: 0, flush: false });
      const after = servers.map((_, n) => serverOf(one(request(n, 'A')).bytes));
      expect(after).toEqual(servers);
      const states = nat.lb.lb.vips()[0]!.servers.map(({ address, state }) => `${address} ${state}`);
      expect(states).toContain(`${f.server(1)} removed`);
    });

    it('keep their server where no other takes new flows, also when the sticky table has forgotten them', async () => {
      const vip = nat.vip(1, WEB);
      const servers = Array.from({ length: 20 }, (_, n) => serverOf(one(request(n)).bytes));
      for (const [n, server] of servers.entries()) one(reply(server, n), LAN);
      // One service is drained, and all servers of another are gone.
      for (const n of [1, 2, 3]) await nat.lb.lb.setWeight({ vip, address: f.server(n), weight: 0, flush: false });
      const asked = Array.from({ length: 20 }, (_, n) => serverOf(one(query(n)).bytes));
      const dns = { vip: nat.vip(1, DNS), addresses: [1, 2, 3].map((n) => f.server(n)), flush: false };
      await nat.lb.lb.deleteServers(dns);
      nat.lb.now += 100_000;
      await nat.lb.lb.sweep();
      for (let turn = 0; turn < 2; turn++) {
        expect(servers.map((_, n) => serverOf(one(request(n, 'A')).bytes))).toEqual(servers);
        expect(asked.map((_, n) => serverOf(one(query(n)).bytes))).toEqual(asked);
      }
      // Others are dropped, and counted for their VIP.
      expect(nat.send([request(100), request(101), query(100)])).toHaveLength(0);
      expect(nat.counters()).toMatchObject({ 'sessions created': 40, 'no server configured': 3 });
      expect(nat.lb.lb.vips().map(({ counters }) => counters.noServer)).toEqual([2, 1]);
    });

    it('move at once with flush', async () => {
      const servers = Array.from({ length: 40 }, (_, n) => serverOf(one(request(n)).bytes));
      await nat.lb.lb.deleteServers({ vip: nat.vip(1, WEB), addresses: [f.server(1)], flush: true });
      const after = servers.map((_, n) => serverOf(one(request(n, 'A')).bytes));
      expect(after).not.toContain(1);
      expect(after.filter((_, n) => servers[n] !== 1)).toEqual(servers.filter((server) => server !== 1));
      expect(nat.lb.lb.vips()[0]!.servers).toHaveLength(2);
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
      ['a connection that the server resets', 60, (n) => one(reply(serverOf(one(request(n)).bytes), n, 'RA'), LAN)],
      [
        'a connection closed by both',
        60,
        (n) => {
          const server = serverOf(one(request(n)).bytes);
          one(reply(server, n, 'FA'), LAN);
          one(request(n, 'FA'));
        },
      ],
      ['a connection closed by one', 7440, (n) => one(reply(serverOf(one(request(n)).bytes), n, 'FA'), LAN)],
      ['a UDP flow', 300, (n) => one(answer(serverOf(one(query(n)).bytes), n), LAN)],
    ];
    it.each(states)('end some time after %s: %i s', async (_, seconds, play) => {
      play(1);
      const live = () => nat.lb.lb.summary().sessions[0]!.sessions;
      nat.lb.now += (seconds - 1) * 1000;
      await nat.lb.lb.sweep();
      expect(live()).toBe(1);
      nat.lb.now += 2000;
      await nat.lb.lb.sweep();
      expect(live()).toBe(0);
    });

    it('are made once for the packets of a new flow that come together', () => {
      const out = nat.send([query(1), query(1), query(1), request(1), request(1)]);
      expect(new Set(out.slice(0, 3).map(({ bytes }) => serverOf(bytes))).size).toBe(1);
      expect(nat.counters()).toEqual({ 'sessions created': 2 });
    });

    it('are found by whole tuples when flow hashes are the same', async () => {
      await nat.add(nat.vip(5, DNS, { srcIpSticky: true }));
      const from = (sport: number) => ({ src: f.client(999), sport });
      const ask = (sport: number) => one(l4Packet(f, 'udp', from(sport), { dst: f.vip(5), dport: 20000 })).bytes;
      for (let turn = 0; turn < 2; turn++) for (let sport = 1; sport <= 20; sport++) ask(sport);
      expect(nat.counters()).toEqual({ 'sessions created': 20 });
      for (let sport = 1; sport <= 20; sport++) {
        const server = { src: destinationOf(ask(sport)), sport: 3307 };
        const back = one(l4Packet(f, 'udp', server, { dst: f.client(999), dport: sport }), LAN);
        expectPacket(back.bytes, f.ip({ src: f.vip(5) }), udp({ sport: 20000, dport: sport }));
      }
    });

    it('are found by whole tuples when all of the hash is the same', async () => {
      const prefix = f.family === 4 ? '90.1.0.0/16' : '2001:db8:91::/64';
      const base = prefix.slice(0, f.family === 4 ? -6 : -3);
      const services = { ...nat.vip(0, { ...DNS, port: 7 }), prefix };
      await nat.add(services, [10, 11, 12]);
      const sameHash = twinFlows(
        [1, 2, 3].map((n) => `${base}${f.family === 4 ? '7.' : ''}${n}`),
        services.port,
      );
      const send = ({ src, sport, dst, dport }: FlowEnds) => one(l4Packet(f, 'udp', { src, sport }, { dst, dport }));
      for (let turn = 0; turn < 2; turn++) {
        for (const flow of sameHash) expect(send(flow).hash).toBe(hashOfFlow(sameHash[0]));
        expect(nat.counters()).toEqual({ 'sessions created': 2 });
        for (const flow of sameHash) {
          const server = { src: destinationOf(send(flow).bytes), sport: 3307 };
          const back = one(l4Packet(f, 'udp', server, { dst: flow.src, dport: flow.sport }), LAN).bytes;
          expectPacket(back, f.ip({ src: flow.dst, dst: flow.src }), udp({ sport: 7, dport: flow.sport }));
        }
      }
    });

    it('are used again: many more flows than the table holds, one after the other', async () => {
      for (let from = 0; from < 12_000; from += 3000) {
        for (let n = from; n < from + 3000; n += 250) nat.send(Array.from({ length: 250 }, (_, i) => query(n + i)));
        nat.lb.now += 301_000;
        await nat.lb.lb.sweep();
      }
      expect(nat.counters()).toEqual({ 'sessions created': 12_000 });
      expect(nat.lb.lb.summary().sessions[0]).toEqual({ name: f.name, sessions: 0, capacity: 4096 });
    });

    it('are refused and counted when the table is full, and flows that have one go on, both ways', () => {
      const servers: number[] = [];
      for (let n = 0; n < 4096; n += 256) {
        const out = nat.send(Array.from({ length: 256 }, (_, i) => query(n + i)));
        servers.push(...out.map(({ bytes }) => serverOf(bytes)));
      }
      expect(nat.send([query(5000)])).toHaveLength(0);
      expect(nat.counters()).toMatchObject({ 'session table full': 1 });
      for (let n = 0; n < 4096; n += 256) {
        expect(nat.send(Array.from({ length: 256 }, (_, i) => query(n + i)))).toHaveLength(256);
        const answers = Array.from({ length: 256 }, (_, i) => answer(servers[n + i]!, n + i));
        const back = nat.send(answers, LAN);
        expect(back.map(({ bytes }) => sourceOf(bytes))).toEqual(answers.map(() => f.vip(1)));
      }
      expect(nat.in2out()).toEqual({ translated: 4096 });
    });

    it('do not come back to life with a server that has taken the place of theirs', async () => {
      const vip = nat.vip(6, DNS);
      await nat.add(vip, [7]);
      const ask = l4Packet(f, 'udp', { src: f.client(888), sport: 5 }, { dst: f.vip(6), dport: 20000 });
      expect(destinationOf(one(ask).bytes)).toBe(f.server(7));
      nat.lb.now += 400_000;
      await nat.lb.lb.deleteServers({ vip, addresses: [f.server(7)], flush: false });
      await nat.lb.lb.addServers({ vip, addresses: [f.server(8)], flush: false });
      const out = one(ask);
      expect(destinationOf(out.bytes)).toBe(f.server(8));
      expect(out.dpo & 0xffffff).toBe(8);
    });

    it('begin anew when a client uses the port of a closed connection again', async () => {
      const server = serverOf(one(request(1)).bytes);
      one(reply(server, 1, 'FA'), LAN);
      one(request(1, 'FA'));
      await nat.lb.lb.deleteServers({ vip: nat.vip(1, WEB), addresses: [f.server(server)], flush: false });
      nat.lb.now += 41_000;
      const next = serverOf(one(request(1)).bytes);
      expect(next).not.toBe(server);
      expect(sourceOf(one(reply(next, 1), LAN).bytes)).toBe(f.vip(1));
    });
  });

  describe('two VIPs that share servers and target port', () => {
    it('answer each flow from its own address, also for one client port', async () => {
      await nat.add(nat.vip(2, { ...WEB, port: 9090 }));
      const second = { dst: f.vip(2), dport: 9090 };
      for (let n = 0; n < 100; n++) {
        const a = serverOf(one(l4Packet(f, 'tcp', client(n), web)).bytes);
        const b = serverOf(one(l4Packet(f, 'tcp', client(n), second)).bytes);
        expect(a).not.toBe(b);
        expectPacket(one(reply(a, n), LAN).bytes, f.ip({ src: f.vip(1) }), tcp({ sport: 8080 }));
        expectPacket(one(reply(b, n), LAN).bytes, f.ip({ src: f.vip(2) }), tcp({ sport: 9090 }));
      }
      expect(nat.counters()['other server taken']).toBeGreaterThan(10);
    });

    it('drop a flow, counted, whose replies nobody could tell apart', async () => {
      for (const n of [2, 3]) await nat.add(nat.vip(n, { ...WEB, port: 9090 }), [9]);
      const to = (n: number) => l4Packet(f, 'tcp', { src: f.client(777), sport: 5 }, { dst: f.vip(n), dport: 9090 });
      one(to(2));
      expect(nat.send([to(3)])).toHaveLength(0);
      expect(nat.counters()).toMatchObject({ 'port in use': 1 });
    });
  });

  describe('a VIP that is a prefix', () => {
    it('answers from the address that was used, not from its base', async () => {
      await nat.add({ ...nat.vip(64, DNS), prefix: `${f.vip(64)}/${f.bits - 4}` });
      for (const n of [64, 65, 0x4f]) {
        const asked = one(l4Packet(f, 'udp', client(n), { dst: f.vip(n), dport: 20000 }));
        expect(sourceOf(one(answer(serverOf(asked.bytes), n), LAN).bytes)).toBe(f.vip(n));
      }
    });

    it('has no static mapping: nobody knows which of its addresses a client used', async () => {
      await nat.add({ ...nat.vip(64, { ...DNS, targetPort: 53 }), prefix: `${f.vip(64)}/${f.bits - 4}` });
      const bytes = l4Packet(f, 'udp', { src: f.server(1), sport: 53 }, there(5));
      expect(one(bytes, LAN).node).toBe('punt');
    });
  });

  describe('packets without a session', () => {
    it('from the port of a server of one VIP get its address', () => {
      const back = one(reply(1, 5), LAN).bytes;
      expectPacket(back, f.ip({ src: f.vip(1) }), tcp({ sport: 8080 }), 'reply 5');
      expectPacket(one(answer(1, 5), LAN).bytes, f.ip({ src: f.vip(1) }), udp({ sport: 20000 }), 'answer 5');
      expect(nat.in2out()).toEqual({ 'static mapping': 2 });
    });

    it('are left alone when two VIPs could be meant, or none, or this host', async () => {
      const other = nat.vip(2, { ...WEB, port: 9090 });
      await nat.add(other, [1]);
      nat.leadsTo(f.client(6), dpo(DPO_RECEIVE, 0));
      const ssh = l4Packet(f, 'tcp', { src: f.server(2), sport: 22 }, there(5));
      const ping = packet(f.ip({ src: f.server(2), dst: f.client(5) }), f.icmp({ type: f.family === 4 ? 0 : 129 }));
      for (const bytes of [reply(1, 5), ssh, reply(2, 6), ping]) {
        const out = one(bytes, LAN);
        expect(out.node).toBe('punt');
        expect([...out.bytes]).toEqual([...bytes]);
      }
      expect(nat.lb.bench.counters('graph')).toEqual({});
      await nat.lb.lb.deleteVip(other);
      expect(one(reply(1, 5), LAN).node).toBe('sink');
    });

    it("are the kernel's where the keys of sessions leave no room for what they would need, and VIPs come and go", async () => {
      nat.crowd();
      const other = nat.vip(2, { ...WEB, port: 9090, targetPort: 81 });
      await nat.add(other);
      expect(one(l4Packet(f, 'tcp', { src: f.server(1), sport: 81 }, there(5)), LAN).node).toBe('punt');
      await nat.lb.lb.deleteVip(other);
      expect(nat.lb.lb.vips()).toHaveLength(2);
      expect(one(reply(1, 5), LAN).node).toBe('sink');
    });

    it('go on to a VIP: a server may be a client, too', () => {
      nat.leadsTo(f.vip(1), dpo(DPO_FIRST_FREE, 0));
      const out = one(l4Packet(f, 'tcp', { src: f.server(1), sport: 5 }, web), LAN);
      expect(SERVERS).toContain(serverOf(out.bytes));
    });
  });

  describe('an interface without NAT', () => {
    it('lets replies through as they are', () => {
      const server = serverOf(one(request(1)).bytes);
      const bytes = reply(server, 1);
      expect([...one(bytes, 2).bytes]).toEqual([...bytes]);
    });
  });

  describe('a server without a route', () => {
    it('costs its packets, counted with the reason', async () => {
      const addresses = [f.server(2), f.server(3)];
      await nat.lb.lb.deleteServers({ vip: nat.vip(1, WEB), addresses, flush: false });
      nat.lb.route(f.server(1), NO_ROUTE);
      expect(nat.send([request(1)])).toHaveLength(0);
      expect(nat.counters()).toMatchObject({ 'no route': 1 });
    });
  });

  describe('a packet that would expire here', () => {
    it('is not translated: what is answered has to quote it as it came', () => {
      const server = serverOf(one(request(1)).bytes);
      for (const bytes of [reply(server, 1, 'SA', 1), reply(server, 9, 'SA', 1)]) {
        expect([...one(bytes, LAN).bytes]).toEqual([...bytes]);
      }
      expect(nat.in2out()).toEqual({ expiring: 2 });
    });
  });

  describe('node ports', () => {
    it('answer from the very address of the node that was used', async () => {
      const vip = nat.vip(8, DNS, { type: 'nodeport', nodePort: 30053 });
      await nat.add(vip as ReturnType<NatBench['vip']>);
      for (const node of [101, 102]) {
        nat.lb.route(f.vip(node), dpo(DPO_RECEIVE, 0));
        const asked = one(l4Packet(f, 'udp', client(node), { dst: f.vip(node), dport: 30053 }));
        const back = one(answer(serverOf(asked.bytes), node), LAN).bytes;
        expectPacket(back, f.ip({ src: f.vip(node), dst: f.client(node) }), udp({ sport: 30053 }));
      }
    });
  });

  describe('a node port', () => {
    it('is there for who comes by an interface with NAT, too', async () => {
      const node = f.vip(77);
      nat.lb.route(node, dpo(DPO_RECEIVE, 0));
      nat.leadsTo(node, dpo(DPO_RECEIVE, 0));
      const ask = l4Packet(f, 'tcp', client(7), { dst: node, dport: 30080 }, { flags: 'S' });
      expect(one(ask, LAN).node).toBe('punt');
      await nat.add(nat.vip(9, { ...WEB, port: 9090 }, { type: 'nodeport', nodePort: 30080 }));
      const server = serverOf(one(ask, LAN).bytes);
      expectPacket(one(reply(server, 7), LAN).bytes, f.ip({ src: node, dst: f.client(7) }), tcp({ sport: 30080 }));
      // What else is on the node's addresses stays the kernel's.
      const other = l4Packet(f, 'tcp', client(7), { dst: node, dport: 30081 }, { flags: 'S' });
      const out = one(other, LAN);
      expect([out.node, ...out.bytes]).toEqual(['punt', ...other]);
    });

    it('has no static mapping: its client may have used any address of the node', async () => {
      await nat.add(nat.vip(8, { ...DNS, targetPort: 53 }, { type: 'nodeport' }));
      const bytes = l4Packet(f, 'udp', { src: f.server(1), sport: 53 }, there(5));
      const out = one(bytes, LAN);
      expect([out.node, ...out.bytes]).toEqual(['punt', ...bytes]);
    });
  });

  describe('packets cut short', () => {
    it('are never read beyond their end', () => {
      const whole = [request(3), reply(1, 3)];
      for (const [rx, bytes] of whole.entries()) {
        for (let length = f.ipBytes; length < f.ipBytes + 20; length++) {
          const short = bytes.slice(0, length);
          if (f.family === 4) short.set([0, length], 2);
          else short.set([0, length - 40], 4);
          const out = nat.send([short], rx);
          expect(out.filter(({ node }) => node !== 'punt')).toHaveLength(0);
        }
      }
      expect(nat.lb.lb.summary().sessions[0]!.sessions).toBe(0);
    });
  });
});
