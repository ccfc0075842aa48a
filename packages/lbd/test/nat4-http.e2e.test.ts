import { type Actor, BalancerLab, type Daemon, labSuite, VIP_URL } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drops } from './support/counters.ts';
import { Talk } from './support/talk.ts';

interface Way {
  readonly name: string;
  readonly need: 'namespaces' | 'xdp';
  readonly options: Record<string, unknown>;
  readonly queues: number;
  /** XDP mode that ip(8) should show: 1 in the driver, 2 generic. */
  readonly xdpMode?: number;
}

const WAYS: readonly Way[] = [
  { name: 'AF_XDP in native mode', need: 'xdp', options: { driver: 'af_xdp', mode: 'native' }, queues: 1, xdpMode: 1 },
  {
    name: 'AF_XDP in generic mode',
    need: 'xdp',
    options: { driver: 'af_xdp', mode: 'generic' },
    queues: 1,
    xdpMode: 2,
  },
  { name: 'AF_XDP on two queues', need: 'xdp', options: { driver: 'af_xdp', mode: 'native' }, queues: 2, xdpMode: 1 },
  { name: 'AF_PACKET', need: 'namespaces', options: { driver: 'af_packet' }, queues: 1 },
];

const SSH = 22;

describe.each(WAYS)('HTTP through NAT4 with $name', ({ need, options, queues, xdpMode }) => {
  labSuite(describe, need, 'by the kernels’ own TCP', () => {
    let lab: BalancerLab;
    let lbd: Daemon;
    let client: Actor;
    let servers: Actor[];

    beforeAll(async () => {
      lab = await BalancerLab.create('http', { queues });
      servers = await lab.httpServers();
      client = await lab.client.actor();
      // Generic XDP sees the sender's large segments whole, and no frame of lbd's is that large.
      if (options.mode === 'generic') {
        for (const end of [lab.client, ...lab.servers])
          await end.exec('ethtool', ['-K', 'eth0', 'tso', 'off', 'gso', 'off']);
      }
      lbd = await lab.start({ ...lab.config(options), workers: queues });
      for (const command of lab.vipCommands) await lbd.command(command);
    });

    afterAll(async () => {
      await lab?.destroy();
    });

    it('attaches as configured', async () => {
      const interfaces = (await lbd.data('show interface')) as { name: string; driver: string; queues: number }[];
      expect(interfaces.map(({ driver }) => driver)).toEqual([options.driver, options.driver]);
      expect(interfaces.map((i) => i.queues)).toEqual([queues, queues]);
      if (xdpMode === undefined) return;
      for (const name of ['wan0', 'lan0']) {
        const [link] = await lab.host.ipJson('-details', 'link', 'show', 'dev', name);
        expect(link.xdp).toMatchObject({ mode: xdpMode });
      }
    });

    it('answers every request, new connection or kept, and leaves other traffic alone all the while', async () => {
      const ssh = await lab.host.actor('ssh');
      await ssh.call('tcpEcho', { port: SSH });
      await servers[0].call('tcpEcho', { port: SSH });
      const toHost = await Talk.start(client, '10.1.0.1', SSH);
      const toServer = await Talk.start(client, '192.168.1.1', SSH);
      const before = await Promise.all(servers.map((server) => server.call('httpServed')));

      const fresh = await client.call('httpLoad', { url: VIP_URL, requests: 200, connections: 8, perConnection: 1 });
      expect(fresh.errors).toEqual([]);
      expect(fresh.ok).toBe(200);
      const kept = await client.call('httpLoad', { url: `${VIP_URL}?bytes=20000`, requests: 300, connections: 12 });
      expect(kept.errors).toEqual([]);
      expect(kept.ok).toBe(300);

      // A connection is with one server from its first packet to its last.
      for (const flow of [...fresh.flows, ...kept.flows]) expect(flow.servers.length).toBe(1);
      // 200 flows over three equal servers: under 25 for one of them has a probability of about 10^-11.
      for (const server of ['server1', 'server2', 'server3']) expect(fresh.servers[server]).toBeGreaterThan(25);
      // The servers' own count agrees with what the client saw.
      const served = await Promise.all(servers.map((server) => server.call('httpServed')));
      const names = ['server1', 'server2', 'server3'];
      expect(served.map((count, i) => count - before[i])).toEqual(
        names.map((name) => fresh.servers[name] + (kept.servers[name] ?? 0)),
      );

      expect(await lab.client.ping('10.1.0.1', { count: 3 })).toBe(3);
      expect(await lab.client.ping('192.168.1.2', { count: 3 })).toBe(3);
      expect(await toHost.end()).toBeGreaterThan(5);
      expect(await toServer.end()).toBeGreaterThan(5);
      expect(await drops(lbd)).toBe(0);
    });

    it('counts what it did', async () => {
      const [vip] = await lbd.data('show lb vips verbose');
      expect(vip.counters.firstSession).toBe(212); // 200 fresh and 12 kept connections
      expect(vip.counters.existingSessions).toBeGreaterThan(500);
      expect(vip.counters).toMatchObject({ untracked: 0, noServer: 0 });
      expect(
        vip.servers.map((server: { buckets: number }) => server.buckets).reduce((a: number, b: number) => a + b),
      ).toBe(1024);
      const interfaces = await lbd.data('show interface');
      for (const { rxPackets, txPackets } of interfaces) {
        expect(rxPackets).toBeGreaterThan(500);
        expect(txPackets).toBeGreaterThan(500);
      }
      if (queues > 1) {
        // Both workers had a share, and `show lb` knows both tables.
        const { nodes } = await lbd.data('show runtime');
        const workers = nodes
          .filter(({ name, packets }: { name: string; packets: number }) => name.startsWith('lb4') && packets > 0)
          .map(({ worker }: { worker: number }) => worker);
        expect(new Set(workers).size).toBe(queues);
        expect((await lbd.data('show lb')).sticky.length).toBe(queues);
      }
    });

    it('traces a packet through the graph', async () => {
      await lbd.command('trace add 1');
      await client.call('httpLoad', { url: VIP_URL, requests: 1 });
      const [{ steps }] = await lbd.data('show trace');
      const nodes = steps.map(({ node }: { node: string }) => node);
      const expected = [`${options.driver}-input`, 'ip4-lookup', 'ip4-rewrite', `${options.driver}-output`];
      expect(nodes.filter((node: string) => expected.includes(node))).toEqual(expected);
      expect(await lbd.command('show trace')).toContain('10.10.2.2');
      await lbd.command('clear trace');
    });
  });
});
