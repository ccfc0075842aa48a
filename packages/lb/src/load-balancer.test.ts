import { flowHash4, maglev } from '@lbd/maglev';
import { addressBytes, icmp4, ip4, packet, tcp, udp } from '@lbd/packet';
import { beforeEach, describe, expect, it } from 'vitest';
import { beginLbTask, defineEncap, type VipSpec } from './index.ts';
import { LbBench } from './testing.ts';

/** Leaves packets as they are: what comes out shows the server that was chosen. */
const asis = defineEncap({
  name: 'asis',
  vipFamilies: [4],
  serverFamily: 4,
  summary: 'sets META_TX',
  overhead: 0,
  vip: { targetPort: 'refused', dscp: 'refused' },
  nodes: (lb) => [
    {
      name: 'asis',
      next: ['drop'],
      fanOut: 'dpo',
      process(context, vector, count, nexts) {
        for (let i = 0; i < count; i++) {
          const p = context.packet(vector[i]!);
          p.dpo = context.memory.u32[(lb.servers + p.as * 64) >>> 2]!;
          nexts[i] = 1 + (p.dpo >>> 24);
        }
        return -1;
      },
    },
  ],
});

const ALL: VipSpec = { prefix: '90.0.0.0/8', encap: 'asis', type: 'clusterip', newLen: 1024, srcIpSticky: false };
const DNS: VipSpec = { ...ALL, prefix: '80.0.0.1/32', protocol: 'udp', port: 53 };
const SERVERS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];

const flow = (n: number, dst = '90.1.2.3', dport = 80) =>
  packet(ip4({ src: `1.2.${n >> 8}.${n & 255}`, dst }), udp({ sport: 1024 + n, dport }), 'x');

const flows = (count: number, dst?: string, dport?: number) =>
  Array.from({ length: count }, (_, n) => flow(n, dst, dport));

let bench: LbBench;
beforeEach(async () => {
  bench = await LbBench.create([asis], { sizes: { buckets: 4096 } });
});

/** Servers' last bytes, by packet. The bench names adjacencies by them. */
const chosen = (packets: Uint8Array[]) => bench.send(packets).map(({ dpo }) => dpo & 0xffffff);
const add = (addresses: string[], weight?: number, flush = false) =>
  bench.lb.addServers({ vip: ALL, addresses, flush, ...(weight === undefined ? {} : { weight }) });

describe('choosing', () => {
  it('takes new flows where the new-flow table of the Maglev reference says', async () => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const table = maglev(
      1024,
      SERVERS.map((address) => ({ address: addressBytes(address) })),
    );
    const expected = Array.from({ length: 600 }, (_, n) => {
      const hash = flowHash4(Uint8Array.of(1, 2, n >> 8, n & 255), Uint8Array.of(90, 1, 2, 3), 1024 + n, 80);
      return 1 + table[hash & 1023]!;
    });
    expect(chosen(flows(600))).toEqual(expected);
    expect(bench.lb.vips()[0]!.counters).toEqual({ existingSessions: 0, firstSession: 600, untracked: 0, noServer: 0 });
    expect(chosen(flows(600))).toEqual(expected);
    expect(bench.lb.vips()[0]!.counters.existingSessions).toBe(600);
    expect(bench.lb.vips()[0]!.servers.map(({ buckets }) => buckets)).toEqual([256, 256, 256, 256]);
  });

  it('keeps established flows when servers and weights change, and takes new ones elsewhere', async () => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const before = chosen(flows(500));
    await add(['10.0.0.9']);
    await add(['10.0.0.1'], 0);
    await bench.lb.setWeight({ vip: ALL, address: '10.0.0.2', weight: 1, flush: false });
    await bench.lb.deleteServers({ vip: ALL, addresses: ['10.0.0.3'], flush: false });
    expect(chosen(flows(500))).toEqual(before);
    const fresh = new Set(chosen(flows(500, '90.9.9.9')));
    expect(fresh).not.toContain(1);
    expect(fresh).not.toContain(3);
    expect(fresh).toContain(9);
    const states = bench.lb.vips()[0]!.servers.map(({ address, state }) => `${address} ${state}`);
    expect(states).toContain('10.0.0.3 removed');
  });

  it('frees a deleted server when its last flow has timed out, not before', async () => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    chosen(flows(500));
    await bench.lb.deleteServers({ vip: ALL, addresses: ['10.0.0.3'], flush: false });
    bench.now += 39_000;
    await bench.lb.sweep();
    expect(bench.lb.vips()[0]!.servers).toHaveLength(4);
    bench.now += 10_000;
    await bench.lb.sweep();
    expect(bench.lb.vips()[0]!.servers.map(({ address }) => address)).not.toContain('10.0.0.3');
  });

  it('moves flows at once with flush, and no others', async () => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const before = chosen(flows(500));
    await bench.lb.deleteServers({ vip: ALL, addresses: ['10.0.0.3'], flush: true });
    const after = chosen(flows(500));
    expect(after).not.toContain(3);
    expect(after.filter((_, i) => before[i] !== 3)).toEqual(before.filter((server) => server !== 3));
    expect(bench.lb.vips()[0]!.servers).toHaveLength(3);
  });

  it('drops and counts where there is no server, and tracks nothing', async () => {
    await bench.lb.addVip(ALL);
    expect(bench.send(flows(10))).toHaveLength(0);
    expect(bench.bench.counters('lb4')).toEqual({ 'no server configured': 10 });
    expect(bench.lb.summary().sticky[0]!.used).toBe(0);
    await add(SERVERS);
    expect(bench.send(flows(10))).toHaveLength(10);
    expect(bench.lb.vips()[0]!.counters).toMatchObject({ noServer: 10, firstSession: 10, untracked: 0 });
  });

  it('follows the route to a server', async () => {
    await bench.lb.addVip(ALL);
    await add(['10.0.0.1']);
    expect(new Set(chosen(flows(5)))).toEqual(new Set([1]));
    bench.route('10.0.0.1', (3 << 24) | 77);
    expect(new Set(chosen(flows(5)))).toEqual(new Set([77]));
    bench.route('10.0.0.1', 0);
    expect(bench.send(flows(5))).toHaveLength(0);
  });

  it('forgets everything on flowtable flush', async () => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    chosen(flows(100));
    await bench.lb.flushFlowTable();
    expect(bench.lb.summary().sticky[0]).toEqual({ worker: 0, used: 0, capacity: 4096 * 4 });
  });

  it('keeps flows when the sticky tables are resized', async () => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const before = chosen(flows(300));
    await bench.lb.lbConf({ buckets: 16384, timeout: 20 });
    await add(SERVERS, 0);
    await add(['10.0.0.8'], 100);
    expect(chosen(flows(300))).toEqual(before);
    expect(bench.lb.summary().sticky[0]!.capacity).toBe(16384 * 4);
  });

  it('keeps flows while they are moved, bit by bit, to a table of another size', async () => {
    const worker = { send: () => {}, steps: 0 };
    bench = await LbBench.create([asis], {
      sizes: { buckets: 4096 },
      host: {
        onWorkers: async (task) => {
          const step = beginLbTask(bench.arena.memory, bench.handles, 0, task);
          for (let done = false; !done; worker.steps++) {
            done = step();
            worker.send();
          }
        },
      },
    });
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const before = chosen(flows(300));
    await add(SERVERS, 0);
    await add(['10.0.0.8'], 100);
    const used = () => bench.lb.summary().sticky[0]!;
    // Between the steps some packets of flows that are known come, and one of a new flow.
    const now = { expected: 300, next: 300 };
    worker.send = () => {
      const some = worker.steps * 7;
      expect(chosen(flows(300).slice(some, some + 7))).toEqual(before.slice(some, some + 7));
      const [fresh] = flows(now.next + 1).slice(-1);
      expect(chosen([fresh!])).toEqual([8]);
      now.next++;
      expect(used()).toEqual({ worker: 0, used: ++now.expected, capacity: 16384 * 4 });
      const flowsOf = bench.lb.vips()[0]!.servers.map((server) => server.flows);
      expect(flowsOf.reduce((sum, n) => sum + n)).toBe(now.expected);
    };
    const steps = worker.steps;
    await bench.lb.lbConf({ buckets: 16384 });
    worker.send = () => {};
    expect(worker.steps - steps).toBeGreaterThan(4);
    expect(chosen(flows(300))).toEqual(before);
    expect(chosen(flows(now.next)).slice(300)).toEqual(new Array(now.next - 300).fill(8));
    expect(used().used).toBe(now.expected);
  });

  it('moves no flow for another timeout, which counts from the next packet on', async () => {
    const tasks: unknown[] = [];
    bench = await LbBench.create([asis], { host: { onWorkers: async (task) => void tasks.push(task) } });
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const before = chosen(flows(100));
    const used = () => bench.lb.summary().sticky[0]!.used;
    await bench.lb.lbConf({ timeout: 100 });
    expect(tasks).toEqual([]);
    expect(bench.lb.lbConfGet().timeout).toBe(100);
    bench.now += 39_000;
    expect(chosen(flows(50))).toEqual(before.slice(0, 50));
    expect(used()).toBe(100);
    bench.now += 2_000; // the 40 s of those without a packet are over
    expect(used()).toBe(50);
    bench.now += 97_000;
    expect(used()).toBe(50);
    bench.now += 2_000;
    expect(used()).toBe(0);
  });

  it('hashes by source address alone for src_ip_sticky', async () => {
    await bench.lb.addVip({ ...ALL, srcIpSticky: true });
    await add(SERVERS);
    const ports = [1, 2, 3, 4, 5, 6, 7, 8].map((sport) =>
      packet(ip4({ src: '7.7.7.7', dst: '90.1.2.3' }), udp({ sport, dport: 9 })),
    );
    expect(new Set(chosen(ports)).size).toBe(1);
  });

  it('agrees with itself under the keyed hash', async () => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const crc = chosen(flows(200));
    await bench.lb.lbConf({ flowHash: 'keyed' });
    await bench.lb.flushFlowTable();
    const keyed = chosen(flows(200));
    expect(keyed).not.toEqual(crc);
    expect(chosen(flows(200))).toEqual(keyed);
  });

  it('keeps live flows when the flow hash is changed, and chooses by it for new ones', async () => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const [old, later] = [flows(200), flows(400).slice(200)];
    const before = chosen(old);
    await bench.lb.lbConf({ flowHash: 'keyed' });
    expect(chosen(old)).toEqual(before);
    const table = maglev(
      1024,
      SERVERS.map((address) => ({ address: addressBytes(address) })),
    );
    const byCrc = Array.from({ length: 200 }, (_, i) => {
      const n = 200 + i;
      const hash = flowHash4(Uint8Array.of(1, 2, n >> 8, n & 255), Uint8Array.of(90, 1, 2, 3), 1024 + n, 80);
      return 1 + table[hash & 1023]!;
    });
    const after = chosen(later);
    expect(after).not.toEqual(byCrc);
    await bench.lb.lbConf({ flowHash: 'crc32c' });
    expect(chosen([...old, ...later])).toEqual([...before, ...after]);
    expect(bench.lb.vips()[0]!.counters).toMatchObject({ firstSession: 400, untracked: 0 });
    await bench.lb.flushFlowTable();
    expect(chosen(later)).toEqual(byCrc);
  });
});

describe('per-port VIPs', () => {
  beforeEach(async () => {
    await bench.lb.addVip(DNS);
    await bench.lb.addVip({ ...DNS, protocol: 'tcp' });
    await bench.lb.addServers({ vip: DNS, addresses: ['10.0.0.1'], flush: false });
    await bench.lb.addServers({ vip: { ...DNS, protocol: 'tcp' }, addresses: ['10.0.0.2'], flush: false });
  });

  it('are told apart by protocol and port', () => {
    expect(new Set(chosen(flows(20, '80.0.0.1', 53)))).toEqual(new Set([1]));
    expect(chosen([packet(ip4({ src: '1.1.1.1', dst: '80.0.0.1' }), tcp({ sport: 5, dport: 53 }))])).toEqual([2]);
  });

  it('leave other ports and protocols to the kernel, counted, without a sticky entry', () => {
    const others = [
      flow(1, '80.0.0.1', 54),
      packet(ip4({ src: '1.1.1.1', dst: '80.0.0.1' }), tcp({ sport: 53, dport: 54 })),
      packet(ip4({ src: '1.1.1.1', dst: '80.0.0.1' }), icmp4({ type: 13, code: 0 })),
      packet(ip4({ src: '1.1.1.1', dst: '80.0.0.1', protocol: 50 }), 'an ESP packet'),
    ];
    const out = bench.send(others);
    expect(out.map(({ node }) => node)).toEqual(['punt', 'punt', 'punt', 'punt']);
    expect(out.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(
      others.map((bytes) => Buffer.from(bytes).toString('hex')),
    );
    expect(bench.lb.summary().sticky[0]!.used).toBe(0);
  });

  it('go one by one', async () => {
    await bench.lb.deleteVip(DNS);
    expect(bench.send(flows(3, '80.0.0.1', 53)).map(({ node }) => node)).toEqual(['punt', 'punt', 'punt']);
    expect(chosen([packet(ip4({ src: '1.1.1.1', dst: '80.0.0.1' }), tcp({ sport: 5, dport: 53 }))])).toEqual([2]);
    await bench.lb.deleteVip({ ...DNS, protocol: 'tcp' });
    expect(bench.send(flows(1, '80.0.0.1', 53)).map(({ node }) => node)).toEqual(['sink']);
  });
});

describe('an operation that fails halfway', () => {
  it('changes nothing: no memory for the new-flow table', async () => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const before = chosen(flows(100));
    const state = JSON.stringify(bench.lb.vips());
    const huge = { ...ALL, prefix: '91.0.0.0/8', newLen: 65536 };
    bench.arena.allocate('nearly all that is left', bench.arena.remaining - 8192);
    await expect(bench.lb.addVip(huge)).rejects.toThrow('no room for lb: new-flow table of VIP 91.0.0.0/8');
    expect(() => {
      for (;;) bench.arena.allocate('a piece of the size of a table', 4096);
    }).toThrow();
    await expect(add(['10.0.0.9'])).rejects.toThrow('no room for');
    await expect(add(['10.0.0.1'], 7)).rejects.toThrow('no room for');
    expect(JSON.stringify(bench.lb.vips()).replace(/"flows":\d+/g, '')).toBe(state.replace(/"flows":\d+/g, ''));
    expect(chosen(flows(100))).toEqual(before);
  });

  it('changes nothing: no memory for a larger sticky table', async () => {
    const before = bench.lb.lbConfGet();
    const pieces = bench.arena.allocations().length;
    await expect(bench.lb.lbConf({ buckets: 1 << 24, timeout: 7 })).rejects.toThrow('no room for');
    expect(bench.lb.lbConfGet()).toEqual(before);
    expect(bench.arena.allocations()).toHaveLength(pieces);
    await expect(bench.lb.lbConf({ buckets: 1.5 })).rejects.toThrow('must be a power of two');
    await expect(bench.lb.lbConf({ ip4SrcAddress: '10.0.0.0/8' })).rejects.toThrow('10.0.0.0/8');
    expect(bench.lb.lbConfGet()).toEqual(before);
  });

  it('changes nothing: the dataplane takes no prefix more', async () => {
    let full = false;
    const prefixes: string[] = [];
    const addPrefix = (prefix: string) => {
      if (full) throw new Error('too much to steer');
      prefixes.push(prefix);
    };
    bench = await LbBench.create([asis], { host: { addPrefix } });
    await bench.lb.addVip(DNS);
    const pieces = bench.arena.allocations().length;
    full = true;
    for (const vip of [ALL, { ...DNS, prefix: '80.0.0.2/32' }]) {
      await expect(bench.lb.addVip(vip)).rejects.toThrow('too much to steer');
      await expect(bench.lb.deleteVip(vip)).rejects.toThrow('there is no');
    }
    expect(bench.lb.vips().map(({ prefix }) => prefix)).toEqual(['80.0.0.1/32']);
    expect(bench.arena.allocations()).toHaveLength(pieces);
    full = false;
    for (const vip of [ALL, { ...DNS, prefix: '80.0.0.2/32' }]) await bench.lb.addVip(vip);
    expect(prefixes).toEqual(['80.0.0.1/32', '90.0.0.0/8', '80.0.0.2/32']);
    expect(bench.lb.vips().map(({ index }) => index)).toEqual([1, 2, 3]);
  });

  it('changes nothing: the dataplane takes no return traffic more', async () => {
    const nat = { ...asis, name: 'porty', vip: { port: 'required', targetPort: 'required', dscp: 'refused' } } as const;
    const returns: string[] = [];
    const host = {
      addReturn(address: string) {
        if (address === '10.0.0.3') throw new Error('too much to steer');
        returns.push(address);
      },
      removeReturn: (address: string) => void returns.splice(returns.indexOf(address), 1),
    };
    const named = {
      ...nat,
      nodes: (lb: Parameters<typeof asis.nodes>[0]) => [{ ...asis.nodes(lb, undefined)[0]!, name: 'porty' }],
    };
    bench = await LbBench.create([named], { host });
    const vip = { ...DNS, encap: 'porty', targetPort: 5353 };
    await bench.lb.addVip(vip);
    await bench.lb.addServers({ vip, addresses: ['10.0.0.1'], flush: false });
    const all = { vip, addresses: ['10.0.0.2', '10.0.0.3', '10.0.0.4'], flush: false };
    await expect(bench.lb.addServers(all)).rejects.toThrow('too much to steer');
    expect(returns).toEqual(['10.0.0.1']);
    expect(bench.lb.vips()[0]!.servers.map(({ address }) => address)).toEqual(['10.0.0.1']);
    expect(new Set(chosen(flows(20, '80.0.0.1', 53)))).toEqual(new Set([1]));
  });
});

describe('a VIP that is deleted and made again', () => {
  it('starts afresh', async () => {
    await bench.lb.addVip(ALL);
    await add(['10.0.0.1']);
    chosen(flows(50));
    await bench.lb.deleteVip(ALL);
    await bench.lb.addVip(ALL);
    await add(['10.0.0.2']);
    expect(new Set(chosen(flows(50)))).toEqual(new Set([2]));
    expect(bench.lb.vips()[0]!.counters).toMatchObject({ firstSession: 50, existingSessions: 0 });
  });
});

describe('refusals say what was wrong and change nothing', () => {
  const refusals: [string, () => Promise<unknown>, string][] = [
    ['VIP twice', () => bench.lb.addVip({ ...ALL, prefix: '90.7.7.7/8' }), 'VIP 90.0.0.0/8 exists already'],
    ['port beside all-port', () => bench.lb.addVip({ ...DNS, prefix: '90.0.0.0/8' }), 'has an all-port VIP already'],
    ['unknown encap', () => bench.lb.addVip({ ...ALL, prefix: '91.0.0.0/8', encap: 'gre9' }), 'available are: asis'],
    ['family', () => bench.lb.addVip({ ...ALL, prefix: '2001:db8::/32' }), 'encap asis is for ip4 VIPs'],
    ['target_port', () => bench.lb.addVip({ ...DNS, targetPort: 5 }), 'takes no target_port'],
    ['protocol alone', () => bench.lb.addVip({ ...ALL, prefix: '91.0.0.0/8', protocol: 'tcp' }), 'go together'],
    ['new_len', () => bench.lb.addVip({ ...ALL, prefix: '91.0.0.0/8', newLen: 0 }), 'must be a power of two'],
    ['new_len', () => bench.lb.addVip({ ...ALL, prefix: '91.0.0.0/8', newLen: 1000 }), 'must be a power of two'],
    [
      'AS of no VIP',
      () => bench.lb.addServers({ vip: DNS, addresses: ['10.0.0.1'], flush: false }),
      'there is no VIP 80.0.0.1/32 protocol udp port 53',
    ],
    ['AS twice', () => add(['10.0.0.7', '10.0.0.1']), 'AS 10.0.0.1 of VIP 90.0.0.0/8 exists already'],
    ['AS given twice', () => add(['10.0.0.7', '10.0.0.7']), 'is given twice'],
    ['AS family', () => add(['2001:db8::1']), 'whose ASs have ip4 addresses'],
    ['AS in its own VIP', () => add(['90.1.1.1']), 'would come back to a VIP'],
    [
      'VIP over an AS',
      () => bench.lb.addVip({ ...ALL, prefix: '10.0.0.0/24' }),
      'packets to AS 10.0.0.1 would come back to it',
    ],
    ['weight', () => add(['10.0.0.7'], 101), 'weight 101: must be from 0 to 100'],
    [
      'del of no AS',
      () => bench.lb.deleteServers({ vip: ALL, addresses: ['10.0.0.1', '10.0.0.9'], flush: false }),
      'has no AS 10.0.0.9',
    ],
    ['buckets', () => bench.lb.lbConf({ buckets: 0 }), 'buckets 0: must be a power of two'],
    ['buckets', () => bench.lb.lbConf({ buckets: 67108864 }), 'must be a power of two, 1 to'],
    ['timeout', () => bench.lb.lbConf({ timeout: 0 }), 'timeout 0'],
  ];

  it.each(refusals)('%s', async (_, operation, message) => {
    await bench.lb.addVip(ALL);
    await add(SERVERS);
    const before = JSON.stringify([bench.lb.vips(), bench.lb.lbConfGet()]);
    await expect(operation()).rejects.toThrow(message);
    expect(JSON.stringify([bench.lb.vips(), bench.lb.lbConfGet()])).toBe(before);
  });
});
