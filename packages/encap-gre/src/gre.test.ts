import { DPO_DROP, DPO_PUNT, dpo } from '@lbd/fib';
import { LbBench } from '@lbd/lb/testing';
import { gre as greLayer, ip4, ip6, packet, tcp, udp } from '@lbd/packet';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { hex, scapy } from '../../packet/test/scapy.ts';
import { gre4, gre6, greNode } from './index.ts';

const SOURCES = { ip4SrcAddress: '39.40.41.42', ip6SrcAddress: '2004::1' };
const SERVERS = { gre4: ['10.1.1.1', '10.1.1.2', '10.1.1.3'], gre6: ['2002:1::1', '2002:1::2', '2002:1::3'] };
const VIP = { 4: '90.0.0.0/8', 6: '2001::/16' } as const;
const encaps = { gre4, gre6 };
type Name = keyof typeof encaps;

/** VIPs of both families with one encap. */
async function benchOf(name: Name, encapOptions: Record<string, string> = {}): Promise<LbBench> {
  const bench = await LbBench.create([encaps[name]], { encapOptions });
  bench.mtu = 9000;
  await bench.lb.lbConf(SOURCES);
  for (const family of [4, 6] as const) {
    const vip = { prefix: VIP[family], encap: name, type: 'clusterip', newLen: 1024, srcIpSticky: false } as const;
    await bench.lb.addVip(vip);
    await bench.lb.addServers({ vip, addresses: SERVERS[name], flush: false });
  }
  return bench;
}

const inner4 = (n: number, fields: object = {}, payload: string | Uint8Array = `packet ${n}`) =>
  packet(
    ip4({ src: `1.2.${n >> 8}.${n & 255}`, dst: '90.0.0.1', id: n, ...fields }),
    udp({ sport: n, dport: 53 }),
    payload,
  );
const inner6 = (n: number, fields: object = {}, payload: string | Uint8Array = `packet ${n}`) =>
  packet(ip6({ src: `fd00::${n.toString(16)}`, dst: '2001::1', ...fields }), tcp({ sport: n, dport: 80 }), payload);

/** The server that an outer header names, the address as it is in SERVERS. */
const serverOf = (name: Name, bytes: Uint8Array) => SERVERS[name][bytes[name === 'gre4' ? 19 : 39]! - 1]!;

/** What must come out, by the packet builder: it shares nothing with the kernels. */
function encapsulated(name: Name, inner: Uint8Array, server: string, tos = 0, df = false): Uint8Array {
  const type = inner[0]! >> 4 === 4 ? 0x0800 : 0x86dd;
  const outer =
    name === 'gre4'
      ? ip4({ src: SOURCES.ip4SrcAddress, dst: server, ttl: 128, tos, df, id: 0 })
      : ip6({ src: SOURCES.ip6SrcAddress, dst: server, hopLimit: 128, trafficClass: tos, flowLabel: 0 });
  return packet(outer, greLayer({ type }), inner);
}

describe.each(['gre4', 'gre6'] as const)('%s', (name) => {
  let bench: LbBench;
  beforeAll(async () => {
    bench = await benchOf(name);
  });

  const check = (inner: Uint8Array) => {
    const [out, ...more] = bench.send([inner]);
    expect(more).toEqual([]);
    expect(out!.node).toBe('sink');
    expect(out!.bytes).toEqual(encapsulated(name, inner, serverOf(name, out!.bytes)));
  };

  it('carries packets of both families exactly as they came, whatever is in them', () => {
    const fields = fc.record({
      n: fc.integer({ min: 1, max: 2000 }),
      tos: fc.nat(255),
      ttl: fc.integer({ min: 1, max: 255 }),
      df: fc.boolean(),
      payload: fc.uint8Array({ maxLength: 1200 }),
      family: fc.constantFrom(4, 6),
    });
    fc.assert(
      fc.property(fields, ({ n, tos, ttl, df, payload, family }) => {
        if (family === 4) check(inner4(n, { tos, ttl, df }, payload));
        else check(inner6(n, { trafficClass: tos, hopLimit: ttl, flowLabel: n }, payload));
      }),
      { numRuns: 300 },
    );
  });

  it('carries what is no TCP and no UDP, and checksums that are wrong', () => {
    check(packet(ip4({ src: '1.1.1.1', dst: '90.0.0.1', protocol: 50 }), 'security payload'));
    const damaged = inner4(5);
    damaged[27]! ^= 1;
    check(damaged);
  });

  it('makes what scapy makes', () => {
    const inners = [inner4(1), inner4(2, { tos: 0xb9, ttl: 1 }), inner6(3, { trafficClass: 0x2e }, 'x'.repeat(999))];
    const outs = inners.map((inner) => bench.send([inner])[0]!.bytes);
    const outer =
      name === 'gre4'
        ? `IP(src='${SOURCES.ip4SrcAddress}', dst=server, ttl=128, id=0, tos=0)`
        : `IPv6(src='${SOURCES.ip6SrcAddress}', dst=server, hlim=128)`;
    const made = scapy<string[]>(
      `out = [bytes(${outer} / GRE(proto=kind) / bytes.fromhex(inner)).hex() for inner, server, kind in input]`,
      inners.map((inner, i) => [hex(inner), serverOf(name, outs[i]!), inner[0]! >> 4 === 4 ? 0x800 : 0x86dd]),
    );
    expect(outs.map(hex)).toEqual(made);
  });

  it('trims what Ethernet has padded', () => {
    const inner = inner4(9);
    const [out] = bench.send([packet(inner, new Uint8Array(17).fill(0xee))]);
    expect(out!.bytes).toEqual(encapsulated(name, inner, serverOf(name, out!.bytes)));
  });

  it('takes whole vectors of packets that go different ways', async () => {
    const own = await benchOf(name);
    const [first, second, third] = SERVERS[name];
    own.route(second!, dpo(DPO_DROP, 1));
    own.route(third!, dpo(DPO_PUNT, 0));
    const inners = Array.from({ length: 256 }, (_, n) => (n % 3 === 0 ? inner6(n + 1) : inner4(n + 1)));
    const out = own.send(inners);
    const dropped = own.bench.counters(name).blackhole!;
    expect(dropped).toBeGreaterThan(40);
    expect(out.length).toBe(256 - dropped);
    const left = new Map(inners.map((inner) => [hex(inner), inner]));
    for (const { node, bytes } of out) {
      const server = serverOf(name, bytes);
      expect([first, third]).toContain(server);
      expect(node).toBe(server === first ? 'sink' : 'punt');
      const inner = bytes.slice(name === 'gre4' ? 24 : 44);
      expect(bytes).toEqual(encapsulated(name, inner, server));
      expect(left.delete(hex(inner))).toBe(true);
    }
  });

  it('drops and counts what it has no source address for, until there is one', async () => {
    const own = await LbBench.create([encaps[name]]);
    const vip = { prefix: VIP[4], encap: name, type: 'clusterip', newLen: 8, srcIpSticky: false } as const;
    await own.lb.addVip(vip);
    await own.lb.addServers({ vip, addresses: SERVERS[name], flush: false });
    expect(own.send([inner4(1), inner4(2)])).toEqual([]);
    expect(own.bench.counters(name)).toEqual({ 'no source address': 2 });
    await own.lb.lbConf(SOURCES);
    expect(own.send([inner4(1)])).toHaveLength(1);
  });

  it.each([
    [{ dscp: 'copy' }, 0xfc],
    [{ ecn: 'copy' }, 0x03],
    [{ dscp: 'copy', ecn: 'copy' }, 0xff],
  ])('copies into the outer header what it is told to: %j', async (options, mask) => {
    const own = await benchOf(name, options as Record<string, string>);
    const tosOf = (n: number) => (n * 37) & 255;
    const inners = Array.from({ length: 200 }, (_, n) =>
      n % 2 === 0 ? inner4(n + 1, { tos: tosOf(n) }) : inner6(n + 1, { trafficClass: tosOf(n), flowLabel: 0xfffff }),
    );
    // one at a time, and as vectors
    const out = [...inners.flatMap((inner) => own.send([inner])), ...own.send(inners)];
    expect(out).toHaveLength(400);
    for (const { bytes } of out) {
      const inner = bytes.slice(name === 'gre4' ? 24 : 44);
      const tos = inner[0]! >> 4 === 4 ? inner[1]! : ((inner[0]! & 15) << 4) | (inner[1]! >> 4);
      expect(bytes).toEqual(encapsulated(name, inner, serverOf(name, bytes), tos & mask));
    }
  });

  it('says in traces what is outside and inside', () => {
    const node = greNode(name, bench.handles, { copied: 0 });
    const bytes = encapsulated(name, inner4(1), SERVERS[name][0]!);
    const text = node.trace!({ as: 1, bytes } as never, bench.arena.memory);
    expect(text).toContain(SERVERS[name][0]);
    expect(text).toContain('gre');
    expect(text).toContain('90.0.0.1');
  });

  it('refuses options that there are not', async () => {
    await expect(benchOf(name, { dscp: 'half' })).rejects.toThrow('dscp');
    await expect(benchOf(name, { colour: 'red' })).rejects.toThrow('colour');
  });
});

describe('gre4 with df: copy', () => {
  it('lets routers fragment what may be fragmented inside, and nothing else', async () => {
    const bench = await benchOf('gre4', { df: 'copy' });
    const inners = [inner4(1, { df: true }), inner4(2, { df: false }), inner6(3), inner4(4, { mf: true })];
    const flags = [true, false, true, false];
    const out = bench.send(inners);
    expect(out).toHaveLength(4);
    for (const { bytes } of out) {
      const inner = bytes.slice(24);
      const i = inners.findIndex((one) => Buffer.compare(one, inner) === 0);
      expect(bytes).toEqual(encapsulated('gre4', inner, serverOf('gre4', bytes), 0, flags[i]));
    }
  });
});
