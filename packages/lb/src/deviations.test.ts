/** Where VPP's lb plugin falls short and lbd must not: what is the load balancer's own. docs/deviations.md names these tests. */
import { DPO_RECEIVE, dpo } from '@lbd/fib';
import type { SentPacket } from '@lbd/graph/testing';
import { maglev } from '@lbd/maglev';
import { addressBytes, expectPacket, fragmentExtension, ip4, ip6, packet, udp } from '@lbd/packet';
import { beforeEach, describe, expect, it } from 'vitest';
import { asis, FAMILIES, type FamilyWords, flowPacket, reference } from '../test/asis.ts';
import type { VipSpec } from './index.ts';
import { crowdedFlows, type FlowEnds, LbBench, twinFlows } from './testing.ts';

/** What GRE puts around a packet. */
const GRE_BYTES = { 4: 24, 6: 44 } as const;

let bench: LbBench;
beforeEach(async () => {
  const nat = { port: 'required', targetPort: 'required', dscp: 'refused' } as const;
  const encaps = ([4, 6] as const).flatMap((family) => [
    asis(family),
    asis(family, { name: `nat${family}`, vip: nat }),
    asis(family, { name: `gre${family}`, overhead: GRE_BYTES[family], tunnel: { protocols: [47] } }),
  ]);
  bench = await LbBench.create(encaps, { sizes: { buckets: 1024 } });
});

const specOf = (f: FamilyWords, parts: Partial<VipSpec> = {}): VipSpec => ({
  prefix: f.prefix,
  encap: `asis${f.family}`,
  type: 'clusterip',
  newLen: 1024,
  srcIpSticky: false,
  ...parts,
});
async function make(f: FamilyWords, parts: Partial<VipSpec> = {}, servers = f.servers): Promise<VipSpec> {
  const vip = specOf(f, parts);
  await bench.lb.addVip(vip);
  if (servers.length > 0) await bench.lb.addServers({ vip, addresses: servers, flush: false });
  return vip;
}
const DNS = { protocol: 'udp', port: 53 } as const;
const serverOf = ({ dpo: word }: SentPacket) => word & 0xffffff;
const servers = (packets: Uint8Array[]) => bench.send(packets).map(serverOf);
const used = () => bench.lb.summary().sticky[0]!.used;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe.each(FAMILIES.map((f) => ({ what: `IPv${f.family}`, f })))('unlike VPP, $what:', ({ f }) => {
  it('NodePort drops everything, registers UDP only, and wants the node port as `port`', async () => {
    const local = f.family === 4 ? '198.51.100.7' : '2001:db8:cafe::7';
    bench.route(local, dpo(DPO_RECEIVE, 0));
    const parts = { encap: `nat${f.family}`, type: 'nodeport', port: 80, targetPort: 8080 } as const;
    for (const [protocol, nodePort] of [
      ['tcp', 30080],
      ['udp', 30081],
    ] as const) {
      await make(f, { ...parts, protocol, nodePort });
      const flow = { dst: local, dport: nodePort, protocol };
      expect(servers([flowPacket(f, 3, flow)])).toEqual([1 + reference(f, 3, f.servers, 1024, flow)]);
    }
  });

  it('a packet for another port, or ICMP, on a per-port VIP is dropped silently, and takes a sticky entry', async () => {
    await make(f, DNS);
    const echo = packet(f.ip({ src: f.client(1), dst: f.vip }), f.icmp({ type: f.echo, code: 0, id: 1 }), 'ping');
    const [other] = bench.send([flowPacket(f, 1, { dport: 54 })]);
    const [reply] = bench.send([echo]);
    expect(other!.node).toBe('punt');
    expectPacket(
      reply!.bytes,
      f.ip({ src: f.vip, dst: f.client(1) }),
      f.icmp({ type: f.echoReply, code: 0, id: 1 }),
      'ping',
    );
    expect(used()).toBe(0);
  });

  it('ICMP errors for a flow are hashed by the router’s address and reach another AS', async () => {
    await make(f);
    const flows = Array.from({ length: 50 }, (_, n) => n);
    const before = servers(flows.map((n) => flowPacket(f, n)));
    const errors = flows.map((n) => {
      const reply = packet(f.ip({ src: f.vip, dst: f.client(n) }), udp({ sport: 53, dport: 1024 + n }), 'reply');
      return packet(f.ip({ src: f.router, dst: f.vip }), f.icmp({ type: f.errors[0]!, code: 0 }), reply);
    });
    expect(servers(errors)).toEqual(before);
  });

  it('time exceeded for TTL 1 quotes the packet as rewritten', async () => {
    await make(f);
    const last = flowPacket(f, 1, { ttl: 1 });
    const [answer] = bench.send([last]);
    const type = f.family === 4 ? 11 : 3;
    const layers = expectPacket(answer!.bytes, f.ip({ src: f.own, dst: f.client(1) }), f.icmp({ type, code: 0 }));
    expect(hex(layers[1]!.payload)).toBe(hex(last));
  });

  it('gre4 over a smaller MTU ignores DF; gre6 sends packet-too-big to itself', async () => {
    bench.mtu = 1400;
    await make(f, { encap: `gre${f.family}` });
    const header = f.family === 4 ? 28 : 48;
    const most = 1400 - GRE_BYTES[f.family];
    const fits = flowPacket(f, 1, { df: true, bytes: most - header });
    const [there] = bench.send([fits]);
    expect(hex(there!.bytes)).toBe(hex(fits));
    const [answer] = bench.send([flowPacket(f, 1, { df: true, bytes: most + 1 - header })]);
    const fields = f.family === 4 ? { type: 3, code: 4, rest: most } : { type: 2, code: 0, rest: most };
    expectPacket(answer!.bytes, f.ip({ src: f.own, dst: f.client(1) }), f.icmp(fields));
  });

  it('Ethernet padding is carried inside the tunnel', async () => {
    await make(f);
    const bytes = flowPacket(f, 1, { bytes: 0 });
    const [out] = bench.send([Buffer.concat([bytes, Buffer.alloc(18, 0x55)])]);
    expect(hex(out!.bytes)).toBe(hex(bytes));
  });

  it('later fragments are hashed by payload bytes as ports, or dropped on per-port VIPs', async () => {
    for (const vip of [await make(f), specOf(f, DNS)]) {
      if (vip.port !== undefined) {
        await bench.lb.deleteVip(specOf(f));
        await make(f, DNS);
      }
      for (let n = 0; n < 20; n++) {
        const whole = flowPacket(f, n, { bytes: 40 }).subarray(f.family === 4 ? 20 : 40);
        const fragment = (from: number, to: number) => {
          const more = to < whole.length;
          const id = 100 + n;
          const ends = { src: f.client(n), dst: f.vip, protocol: 17 };
          return f.family === 4
            ? packet(ip4({ ...ends, id, mf: more, fragmentOffset: from }), whole.slice(from, to))
            : packet(ip6({ ...ends, extensions: [fragmentExtension(id, from, more)] }), whole.slice(from, to));
        };
        const pieces = [fragment(0, 16), fragment(16, 32), fragment(32, 48)];
        const out = bench.send(pieces);
        expect(out.map(serverOf)).toEqual(pieces.map(() => 1 + reference(f, n, f.servers)));
        expect(out.map(({ bytes }) => hex(bytes))).toEqual(pieces.map(hex));
      }
    }
  });

  it('IPv6 extension headers hide the ports; IPv4 options are refused', async () => {
    await make(f, DNS);
    const ends = { src: f.client(9), dst: f.vip };
    const header =
      f.family === 4
        ? ip4({ ...ends, options: new Uint8Array(40).fill(1) })
        : ip6({
            ...ends,
            extensions: [0, 60, 43].map((type) => ({ type, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) })),
          });
    expect(servers([packet(header, udp({ sport: 1033, dport: 53 }))])).toEqual([1 + reference(f, 9, f.servers)]);
  });

  it('with no AS, each packet takes a new sticky slot, and the flow is untracked once ASs come', async () => {
    const vip = await make(f, {}, []);
    expect(bench.send(Array.from({ length: 20 }, () => flowPacket(f, 1)))).toHaveLength(0);
    expect(used()).toBe(0);
    await bench.lb.addServers({ vip, addresses: f.servers, flush: false });
    expect(bench.send([flowPacket(f, 1)])).toHaveLength(1);
    expect(bench.lb.vips()[0]!.counters).toEqual({ noServer: 20, firstSession: 1, existingSessions: 0, untracked: 0 });
  });

  it('a flow that finds its one bucket full is untracked', async () => {
    const vip = await make(f);
    const flowOf = (n: number) => ({ src: f.client(n), dst: f.vip, sport: 1024 + n, dport: 53 });
    const packets = crowdedFlows(flowOf, 1024, 8).map(({ src, dst, sport, dport }) =>
      packet(f.ip({ src, dst }), udp({ sport, dport })),
    );
    const before = servers(packets);
    expect(bench.lb.vips()[0]!.counters).toMatchObject({ firstSession: 8, untracked: 0 });
    // Nothing of it changes when the new-flow table does.
    for (const server of new Set(before.slice(0, 4))) {
      await bench.lb.setWeight({ vip, address: f.servers[server - 1]!, weight: 0, flush: false });
    }
    expect(servers(packets)).toEqual(before);
  });

  it('removed ASs and VIPs linger on timers', async () => {
    const vip = await make(f);
    const pieces = bench.arena.allocations().length;
    await bench.lb.deleteServers({ vip, addresses: [f.servers[0]!], flush: false });
    expect(bench.lb.vips()[0]!.servers).toHaveLength(3);
    await bench.lb.deleteVip(vip);
    expect(bench.lb.vips()).toEqual([]);
    expect(bench.arena.allocations()).toHaveLength(pieces - 1);
    await make(f);
    expect(bench.arena.allocations()).toHaveLength(pieces);
  });

  it('aborts on: a nat VIP without port then `lb as`; new_len 0; an AS inside its own VIP', async () => {
    const nat = specOf(f, { encap: `nat${f.family}`, targetPort: 80 });
    await expect(bench.lb.addVip(nat)).rejects.toThrow('needs protocol and port');
    await expect(bench.lb.addServers({ vip: nat, addresses: f.servers, flush: false })).rejects.toThrow('there is no');
    await expect(bench.lb.addVip(specOf(f, { newLen: 0 }))).rejects.toThrow('new_len 0: must be a power of two');
    const vip = await make(f, {}, []);
    const inside = { vip, addresses: [f.vip], flush: false };
    await expect(bench.lb.addServers(inside)).rejects.toThrow('would come back to a VIP');
    expect(bench.lb.vips()[0]!.servers).toEqual([]);
  });

  it('accepts: port 70000, port without protocol, a half-made VIP after a node port that exists', async () => {
    const refused = (parts: Partial<VipSpec>, why: string) =>
      expect(bench.lb.addVip(specOf(f, parts))).rejects.toThrow(why);
    await refused({ protocol: 'tcp', port: 70000 }, 'port 70000: must be from 1 to 65535');
    await refused({ port: 80 }, 'protocol and port go together');
    const node = {
      encap: `nat${f.family}`,
      type: 'nodeport',
      protocol: 'tcp',
      targetPort: 80,
      nodePort: 30000,
    } as const;
    await make(f, { ...node, port: 80 });
    await refused({ ...node, port: 81 }, 'node port 30000 of protocol tcp is taken');
    expect(bench.lb.vips().map(({ port }) => port)).toEqual([80]);
    await make(f, { ...node, port: 81, nodePort: 30001 });
  });
});

describe('unlike VPP:', () => {
  it('capacity in `show lb` is wrong: buckets + 3', () => {
    expect(bench.lb.summary().sticky).toEqual([{ worker: 0, used: 0, capacity: 4096 }]);
  });

  it('aborts on: buckets 0, buckets 67108864', async () => {
    for (const buckets of [0, 67108864]) {
      await expect(bench.lb.lbConf({ buckets })).rejects.toThrow(
        `buckets ${buckets}: must be a power of two, 1 to 16777216`,
      );
    }
    expect(bench.lb.lbConfGet().buckets).toBe(1024);
  });
});

describe.each(FAMILIES.map((f) => ({ what: `IPv${f.family}`, f })))('like VPP, as documented, $what:', ({ f }) => {
  it('sticky entries match on VIP and a 32-bit hash: two flows with one hash share an AS', async () => {
    await make(f);
    const choice = (flow: FlowEnds) => f.hash(flow.src, flow.dst, flow.sport, flow.dport) & 1023;
    const table = maglev(
      1024,
      f.servers.map((address) => ({ address: addressBytes(address) })),
    );
    // Each by itself would go to another.
    const flows = twinFlows([f.vip], 53, (one, other) => table[choice(one)] !== table[choice(other)]);
    const packets = flows.map(({ src, dst, sport, dport }) => packet(f.ip({ src, dst }), udp({ sport, dport })));
    expect(hex(packets[0]!)).not.toBe(hex(packets[1]!));
    expect(servers(packets)).toEqual([1 + table[choice(flows[0])]!, 1 + table[choice(flows[0])]!]);
    expect(used()).toBe(1);
  });
});
