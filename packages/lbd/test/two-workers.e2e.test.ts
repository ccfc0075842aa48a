import { cpus } from 'node:os';
import { type Actor, BalancerLab, type Daemon, labSuite, type Namespace, SERVER_SIDE } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const UDP = { host: '10.10.3.3', port: 5353 };
const UDP_KEY = '10.10.3.3/32 protocol udp port 5353';
const VIP6 = '2001:db8:10::2';
const VIP6_KEY = `${VIP6}/128 protocol tcp port 8080`;

/** Packets of a node, by worker. */
async function byWorker(lbd: Daemon, node: string): Promise<number[]> {
  const { nodes } = (await lbd.data('show runtime')) as { nodes: { worker: number; name: string; packets: number }[] };
  const own = nodes.filter(({ name }) => name === node).sort((a, b) => a.worker - b.worker);
  return own.map(({ packets }) => packets);
}

/** Replies that a worker translated, on the ordinary way and on the shortcut: what this had and did not pass on. */
async function translated(lbd: Daemon, family: 4 | 6): Promise<number[]> {
  const nodes = [
    `lb-nat${family}-in2out`,
    `lb-nat${family}-in2out-express`,
    family === 4 ? 'lb-nat6-in2out-express' : 'ethernet-input',
  ];
  const [feature, express, passedOn] = await Promise.all(nodes.map((node) => byWorker(lbd, node)));
  return feature!.map((packets, worker) => packets + express![worker]! - passedOn![worker]!);
}

/** Requests that a worker gave a server, on the ordinary way and on the shortcut. */
async function chosen(lbd: Daemon, family: 4 | 6): Promise<number[]> {
  const [ordinary, express] = await Promise.all(
    [`lb${family}-port`, `nat${family}-express`].map((node) => byWorker(lbd, node)),
  );
  return ordinary!.map((packets, worker) => packets + express![worker]!);
}

/** All that leaves an interface of two queues leaves on this one; undefined: by hash again. */
async function sendOn(namespace: Namespace, device: string, queue: number | undefined): Promise<void> {
  const all = (2 ** cpus().length - 1).toString(16);
  for (const own of [0, 1]) {
    const mask = own === queue ? all : '0';
    await namespace.exec('sh', ['-c', `echo ${mask} > /sys/class/net/${device}/queues/tx-${own}/xps_cpus`]);
  }
}

labSuite(describe, 'xdp', 'two workers on two queues of each interface', () => {
  let lab: BalancerLab;
  let lbd: Daemon;
  let client: Actor;

  beforeAll(async () => {
    lab = await BalancerLab.create('workers', { queues: 2, ip6: true });
    client = await lab.client.actor();
    for (const server of await lab.serverActors()) {
      await server.call('httpServer', { port: 80, address: '::' });
      await server.call('udpEcho', { port: 53 });
    }
    lbd = await lab.start({
      ...lab.config({ driver: 'af_xdp' }),
      workers: 2,
      nat: { nat4: [SERVER_SIDE], nat6: [SERVER_SIDE] },
      commands: [
        ...lab.vipCommands,
        `lb vip ${UDP_KEY} encap nat4 target_port 53`,
        `lb as ${UDP_KEY} ${lab.serverAddresses.join(' ')}`,
        `lb vip ${VIP6_KEY} encap nat6 target_port 80`,
        `lb as ${VIP6_KEY} ${lab.serverAddresses6.join(' ')}`,
      ],
    });
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  it('share the load', async () => {
    await lbd.command('clear runtime');
    const result = await client.call('udpLoad', { ...UDP, sockets: 100, datagrams: 4 });
    expect(result).toMatchObject({ answered: 400, lost: 0, damaged: 0 });
    expect(Object.keys(result.servers).sort()).toEqual(['server1', 'server2', 'server3']);
    const requests = await chosen(lbd, 4);
    expect(requests.reduce((sum, packets) => sum + packets)).toBe(400);
    // 100 flows by hash: fewer than 20 on one of the queues comes about once in 10^9 runs.
    expect(Math.min(...requests)).toBeGreaterThan(80);
    const text = await lbd.command('show runtime');
    expect(text).toMatch(/worker 0/i);
    expect(text).toMatch(/worker 1/i);
  });

  describe.each([
    { there: 0, back: 1 },
    { there: 1, back: 0 },
  ])('when requests come to worker $there and all replies to worker $back', ({ there, back }) => {
    beforeAll(async () => {
      await sendOn(lab.client, 'eth0', there);
      await sendOn(lab.network.namespace, 'port0', back); // the switch's end of lbd's interface
      await lbd.command('clear runtime');
    });

    afterAll(async () => {
      await sendOn(lab.client, 'eth0', undefined);
      await sendOn(lab.network.namespace, 'port0', undefined);
    });

    /** Every packet was handled where it came in. */
    async function crossed(family: 4 | 6): Promise<void> {
      const [requests, replies] = [await chosen(lbd, family), await translated(lbd, family)];
      expect(requests[there]).toBeGreaterThan(100);
      expect(requests[back]).toBe(0);
      expect(replies[back]).toBeGreaterThan(100);
      expect(replies[there]).toBe(0);
    }

    it('UDP is translated back', async () => {
      const result = await client.call('udpLoad', { ...UDP, sockets: 50, datagrams: 4 });
      expect(result).toMatchObject({ answered: 200, lost: 0, damaged: 0 });
      await crossed(4);
    });

    it.each([
      { family: 4 as const, url: 'http://10.10.2.2:8080/' },
      { family: 6 as const, url: `http://[${VIP6}]:8080/` },
    ])('TCP over IPv$family is, on new connections and on kept ones', async ({ family, url }) => {
      const result = await client.call('httpLoad', { url, requests: 200, connections: 8, perConnection: 5 });
      expect(result).toMatchObject({ ok: 200, failed: 0, errors: [] });
      for (const flow of result.flows) expect(flow.servers.length).toBe(1);
      await crossed(family);
    });
  });
});
