import { DPO_RECEIVE, dpo } from '@lbd/fib';
import type { SentPacket } from '@lbd/graph/testing';
import { fragmentExtension, ip4, ip6, packet, udp } from '@lbd/packet';
import { beforeEach, describe, expect, it } from 'vitest';
import { asis, FAMILIES, type FamilyWords, type Flow, flowPacket, reference } from '../test/asis.ts';
import type { VipSpec } from './index.ts';
import { LbBench } from './testing.ts';

/** As nat4 and nat6 are: with a target port. */
const translating = (family: 4 | 6) =>
  asis(family, { name: `nat${family}`, vip: { port: 'required', targetPort: 'required', dscp: 'refused' } });

const LOCAL = { 4: ['192.0.2.1', '198.51.100.1'], 6: ['2001:db8:ffff::1', '2001:db8:eeee::1'] } as const;

let bench: LbBench;
let taken: string[];
let refused: string | undefined;
beforeEach(async () => {
  taken = [];
  refused = undefined;
  const word = (family: number, protocol: number, port: number) => `${family} ${protocol} ${port}`;
  const host = {
    addNodePort(...port: [4 | 6, number, number]) {
      if (word(...port) === refused) throw new Error('too much to steer');
      taken.push(word(...port));
    },
    removeNodePort: (...port: [4 | 6, number, number]) => void taken.splice(taken.indexOf(word(...port)), 1),
  };
  bench = await LbBench.create([translating(4), translating(6), asis(4), asis(6)], { host });
  for (const address of [...LOCAL[4], ...LOCAL[6]]) bench.route(address, dpo(DPO_RECEIVE, 0));
});

const specOf = (f: FamilyWords, parts: Partial<VipSpec> = {}): VipSpec => ({
  prefix: f.family === 4 ? '90.1.2.3/32' : `${f.vip}/128`,
  protocol: 'udp',
  port: 53,
  encap: `nat${f.family}`,
  type: 'nodeport',
  targetPort: 5353,
  nodePort: 30053,
  newLen: 1024,
  srcIpSticky: false,
  ...parts,
});
const add = async (f: FamilyWords, parts: Partial<VipSpec> = {}) => {
  const vip = specOf(f, parts);
  await bench.lb.addVip(vip);
  await bench.lb.addServers({ vip, addresses: f.servers, flush: false });
};
const one = (bytes: Uint8Array): SentPacket => {
  const out = bench.send([bytes]);
  expect(out).toHaveLength(1);
  return out[0]!;
};
const serverOf = ({ dpo: word }: SentPacket) => word & 0xffffff;

describe.each(FAMILIES.map((f) => ({ what: `IPv${f.family}`, f })))('service type nodeport, $what', ({ f }) => {
  const [here, alsoHere] = LOCAL[f.family];
  /** Goes to the server that the new-flow table says. */
  const served = (n: number, flow: Flow) =>
    expect(serverOf(one(flowPacket(f, n, flow)))).toBe(1 + reference(f, n, f.servers, 1024, flow));

  it.each(['udp', 'tcp'] as const)(
    'serves the node port on every local address, and the VIP itself: %s',
    async (protocol) => {
      await add(f, { protocol });
      for (let n = 0; n < 20; n++) {
        for (const dst of [here, alsoHere]) served(n, { protocol, dst, dport: 30053 });
        served(n, { protocol, dst: f.vip, dport: 53 });
      }
      expect(taken).toEqual([`${f.family} ${protocol === 'udp' ? 17 : 6} 30053`]);
    },
  );

  it('takes `port` for the port on the node if there is no `node_port`', async () => {
    const { nodePort: _, ...spec } = specOf(f);
    await bench.lb.addVip(spec);
    await bench.lb.addServers({ vip: spec, addresses: f.servers, flush: false });
    served(1, { dst: here, dport: 53 });
    served(1, { dst: f.vip, dport: 53 });
  });

  it('leaves the rest to the kernel', async () => {
    await add(f);
    const others = [
      flowPacket(f, 1, { dst: here, dport: 53 }),
      flowPacket(f, 1, { dst: here, dport: 30053, protocol: 'tcp' }),
      flowPacket(f, 1, { dst: f.vip, dport: 30053 }),
      packet(f.ip({ src: f.client(1), dst: here }), f.icmp({ type: f.echo, code: 0 })),
    ];
    expect(others.map((bytes) => one(bytes).node)).toEqual(['punt', 'punt', 'punt', 'punt']);
    expect(bench.lb.summary().sticky[0]!.used).toBe(0);
  });

  it('takes ICMP errors about its flows, and no others', async () => {
    await add(f);
    const server = serverOf(one(flowPacket(f, 7, { dst: here, dport: 30053 })));
    const reply = (sport: number) =>
      packet(f.ip({ src: here, dst: f.client(7) }), udp({ sport, dport: 1031 }), 'reply');
    const error = (about: Uint8Array) =>
      packet(f.ip({ src: f.router, dst: here }), f.icmp({ type: f.errors[0]!, code: 0 }), about);
    expect(serverOf(one(error(reply(30053))))).toBe(server);
    expect(one(error(reply(53))).node).toBe('punt');
  });

  it('takes the fragments of its datagrams, and leaves those of others to the kernel', async () => {
    await add(f);
    const fragments = (dport: number, id: number): Uint8Array[] => {
      const whole = packet(udp({ sport: 1031, dport, checksum: 0, length: 48 }), new Uint8Array(40));
      const parts = [whole.subarray(0, 24), whole.subarray(24)];
      return parts.map((bytes, i) =>
        f.family === 4
          ? packet(ip4({ src: f.client(7), dst: here, id, mf: i === 0, fragmentOffset: i * 24, protocol: 17 }), bytes)
          : packet(
              ip6({
                src: f.client(7),
                dst: here,
                protocol: 17,
                extensions: [fragmentExtension(id, i * 24, i === 0)],
              }),
              bytes,
            ),
      );
    };
    const ours = bench.send(fragments(30053, 5));
    expect(ours.map(serverOf)).toEqual(
      [1, 1].map(() => 1 + reference(f, 7, f.servers, 1024, { dst: here, dport: 30053 })),
    );
    expect(bench.send(fragments(30054, 6)).map(({ node }) => node)).toEqual(['punt', 'punt']);
  });

  it('goes on when another VIP goes, and ends with its own', async () => {
    await add(f);
    await add(f, { prefix: f.family === 4 ? '90.1.2.4/32' : '2001:db8:90::4/128', nodePort: 30054 });
    await bench.lb.deleteVip(specOf(f));
    expect(one(flowPacket(f, 1, { dst: here, dport: 30053 })).node).toBe('punt');
    served(1, { dst: here, dport: 30054 });
    expect(taken).toEqual([`${f.family} 17 30054`]);
    await add(f);
    served(1, { dst: here, dport: 30053 });
  });

  it('can not run in circles: a server on this host is the kernel’s', async () => {
    const vip = specOf(f, { targetPort: 30053 });
    await bench.lb.addVip(vip);
    await bench.lb.addServers({ vip, addresses: [alsoHere], flush: false });
    expect(one(flowPacket(f, 1, { dst: here, dport: 30053 })).node).toBe('punt');
  });

  const refusals: [string, Partial<VipSpec>, string][] = [
    ['a node port that is taken', { port: 54 }, 'node port 30053 of protocol udp is taken by VIP'],
    ['a node port that is another VIP’s port', { port: 30053, nodePort: undefined as never }, 'is taken by VIP'],
    [
      'an encap that does not translate',
      { port: 54, encap: `asis${f.family}`, targetPort: undefined as never },
      'needs an encap',
    ],
    ['node_port without it', { port: 54, type: 'clusterip' }, 'node_port is for service type nodeport'],
    ['node_port 0', { port: 54, nodePort: 0 }, 'node_port 0: must be from 1 to 65535'],
    ['node_port 70000', { port: 54, nodePort: 70000 }, 'node_port 70000: must be from 1 to 65535'],
    ['no target_port', { port: 54, nodePort: 30054, targetPort: undefined as never }, 'needs target_port'],
  ];
  it.each(refusals)('refuses %s, and nothing changes', async (_, parts, message) => {
    await add(f);
    const before = JSON.stringify([bench.lb.vips(), taken, bench.arena.allocations().length]);
    await expect(bench.lb.addVip(specOf(f, parts))).rejects.toThrow(message);
    expect(JSON.stringify([bench.lb.vips(), taken, bench.arena.allocations().length])).toBe(before);
    served(1, { dst: here, dport: 30053 });
    served(1, { dst: f.vip, dport: 53 });
    expect(one(flowPacket(f, 1, { dst: f.vip, dport: 54 })).node).toBe('punt');
  });

  it('is not there at all if the dataplane takes no port more', async () => {
    await add(f);
    refused = `${f.family} 17 30054`;
    const vip = specOf(f, { port: 54, nodePort: 30054 });
    await expect(bench.lb.addVip(vip)).rejects.toThrow('too much to steer');
    expect(one(flowPacket(f, 1, { dst: f.vip, dport: 54 })).node).toBe('punt');
    expect(one(flowPacket(f, 1, { dst: here, dport: 30054 })).node).toBe('punt');
    await expect(bench.lb.deleteVip(vip)).rejects.toThrow('there is no');
    refused = undefined;
    await bench.lb.addVip(vip);
    await bench.lb.addServers({ vip, addresses: f.servers, flush: false });
    served(1, { dst: here, dport: 30054 });
  });
});
