import { type Actor, BalancerLab, type Daemon, labSuite, type Namespace, SERVER_SIDE, waitFor } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Talk } from './support/talk.ts';

/** Addresses of the node: towards the clients, and towards the servers. */
const LOCAL4 = ['10.1.0.1', '192.168.1.254'];
const LOCAL6 = ['2001:db8:1::1', '2001:db8:2::fe'];
const LOCAL = [...LOCAL4, ...LOCAL6];
const [VIP4, VIP6] = ['10.10.2.2', '2001:db8:10::2'];

const KEYS = [
  { family: 4, key: `${VIP4}/32 protocol tcp port 8080`, spelling: 'target_port 80 node_port 30080' },
  { family: 4, key: `${VIP4}/32 protocol tcp port 30081`, spelling: 'target_port 80' }, // as VPP takes it
  { family: 4, key: `${VIP4}/32 protocol udp port 5353`, spelling: 'target_port 53 node_port 30053' },
  { family: 6, key: `${VIP6}/128 protocol tcp port 8080`, spelling: 'target_port 80 node_port 30080' },
  { family: 6, key: `${VIP6}/128 protocol tcp port 30081`, spelling: 'target_port 80' },
  { family: 6, key: `${VIP6}/128 protocol udp port 5353`, spelling: 'target_port 53 node_port 30053' },
];

/** curl's exit code for that; 28 is a timeout. */
const REFUSED = 7;

const inUrl = (address: string) => (address.includes(':') ? `[${address}]` : address);

describe.each([
  { driver: 'af_xdp', need: 'xdp' },
  { driver: 'af_packet', need: 'namespaces' },
] as const)('NodePorts with $driver', ({ driver, need }) => {
  labSuite(describe, need, 'on every address of the node', () => {
    let lab: BalancerLab;
    let lbd: Daemon;
    let client: Actor;
    let host: Actor;
    let servers: Actor[];
    let talks: Talk[];

    beforeAll(async () => {
      lab = await BalancerLab.create('nodeport', { ip6: true });
      client = await lab.client.actor();
      servers = await lab.serverActors();
      for (const server of servers) {
        await server.call('httpServer', { port: 80, address: '::' });
        await server.call('udpEcho', { port: 53, address: '::' });
      }
      // The node's own services: one like ssh, and one on the number of a node port, but of the other protocol.
      host = await lab.host.actor('host');
      for (const port of [22, 30053]) await host.call('tcpEcho', { port, address: '::' });
      // Bound to each address, so that they answer from it.
      for (const port of [53, 30080]) {
        for (const address of LOCAL) await host.call('udpEcho', { port, address });
      }
      lbd = await lab.start({
        ...lab.config({ driver }),
        nat: { nat4: [SERVER_SIDE], nat6: [SERVER_SIDE] },
        commands: KEYS.flatMap(({ family, key, spelling }) => [
          `lb vip ${key} encap nat${family} type nodeport ${spelling}`,
          `lb as ${key} ${(family === 4 ? lab.serverAddresses : lab.serverAddresses6).join(' ')}`,
        ]),
      });
      await client.call('udpLoad', { host: LOCAL[0]!, port: 53 }); // so that the node knows the client's MAC address
      await client.call('udpLoad', { host: LOCAL6[0]!, port: 53 });
      talks = await Promise.all(LOCAL.map((address) => Talk.start(client, address, 22)));
    });

    afterAll(async () => {
      await lab?.destroy();
    });

    const curl = (address: string, port: number) =>
      lab.client.attempt('curl', ['--silent', '--show-error', '--max-time', '5', `http://${inUrl(address)}:${port}/`]);

    it.each(LOCAL)('TCP: curl gets an answer of a server from %s, by both spellings', async (address) => {
      for (const port of [30080, 30081]) {
        expect(await curl(address, port)).toEqual({ stdout: expect.stringMatching(/^server\d/), stderr: '', code: 0 });
      }
      const url = `http://${inUrl(address)}:30080/`;
      const result = await client.call('httpLoad', { url, requests: 60, connections: 3, perConnection: 2 });
      expect(result).toMatchObject({ ok: 60, failed: 0, errors: [] });
      expect(Object.keys(result.servers).sort()).toEqual(['server1', 'server2', 'server3']);
    });

    // Connected sockets: an answer from another address or port than was asked is not delivered.
    it.each(LOCAL)('UDP: every datagram to %s is answered, in one packet or in fragments', async (address) => {
      const result = await client.call('udpLoad', { host: address, port: 30053, sockets: 30, datagrams: 3 });
      expect(result).toMatchObject({ answered: 90, lost: 0, damaged: 0 });
      for (const flow of result.flows) expect(flow.servers.length).toBe(1);
      const large = await client.call('udpLoad', {
        host: address,
        port: 30053,
        sockets: 10,
        datagrams: 3,
        bytes: 4000,
      });
      expect(large).toMatchObject({ answered: 30, lost: 0, damaged: 0 });
      expect(Object.keys(large.servers).every((server) => server.startsWith('server'))).toBe(true);
    });

    it.each([VIP4, VIP6])('the VIP %s has its own port as well', async (vip) => {
      expect((await curl(vip, 8080)).stdout).toMatch(/^server\d/);
      expect((await curl(vip, 30081)).stdout).toMatch(/^server\d/);
    });

    it.each(LOCAL)('the node’s own services go on at %s', async (address) => {
      expect(await lab.client.ping(address, { count: 5 })).toBe(5);
      expect(await lab.client.ping(address, { count: 5, bytes: 4000 })).toBe(5); // in fragments
      for (const port of [53, 30080]) {
        for (const bytes of [32, 4000]) {
          const result = await client.call('udpLoad', { host: address, port, sockets: 5, datagrams: 2, bytes });
          expect(result).toMatchObject({ answered: 10, lost: 0, servers: { host: 10 } });
        }
      }
      const other = await client.call('tcpOpen', { host: address, port: 30053 });
      await client.call('tcpExchange', { id: other, bytes: 1000 });
      await client.call('tcpClose', other);
      // Nobody listens there, and the kernel says so.
      expect((await curl(address, 30082)).code).toBe(REFUSED);
    });

    it('the node’s own connections to a server go on', async () => {
      await servers[0]!.call('tcpEcho', { port: 2222 });
      const id = await host.call('tcpOpen', { host: lab.serverAddresses[0]!, port: 2222 });
      await host.call('tcpExchange', { id, bytes: 100_000 });
      await host.call('tcpClose', id);
      expect(await lab.host.ping(lab.serverAddresses[0]!, { count: 3, bytes: 4000 })).toBe(3);
    });

    it('an address that the node gets later has them, and one that it loses has them no more', async () => {
      const address = '10.10.77.7';
      await lab.host.ip(`address add ${address}/32 dev lo`);
      await waitFor('the node port at the new address', async () => (await curl(address, 30080)).code === 0);
      expect(await lab.client.ping(address)).toBe(1);
      await lab.host.ip(`address del ${address}/32 dev lo`);
      await waitFor('the node port to be gone', async () => (await curl(address, 30080)).code !== 0);
    });

    it('a node port goes with its VIP: the port is the node’s own again, the others stay', async () => {
      await lbd.command(`lb vip ${KEYS[0]!.key} del`);
      for (const address of LOCAL4) {
        expect((await curl(address, 30080)).code).toBe(REFUSED);
        expect((await curl(address, 30081)).stdout).toMatch(/^server\d/);
      }
      for (const address of LOCAL6) expect((await curl(address, 30080)).stdout).toMatch(/^server\d/);
    });

    it('connections to a service like ssh lived through all of this', async () => {
      for (const talk of talks) expect(await talk.end()).toBeGreaterThan(10);
    });
  });

  labSuite(describe, need, 'over links of unequal MTU', () => {
    /** What the routers let through to the client and to the servers, bytes; every link takes 1500. */
    const ROUTERS = { clientMtu: 1300, serverMtu: 1360 };
    let lab: BalancerLab;
    let client: Actor;

    beforeAll(async () => {
      lab = await BalancerLab.create('nodeport-mtu', { ip6: true, servers: 1, routers: ROUTERS });
      client = await lab.client.actor();
      const [server] = await lab.serverActors();
      await server!.call('httpServer', { port: 80, address: '::' });
      // Routers tell of packets that are too large from an address of their own, and the node's kernel must know them.
      await lab.lab.namespaces.get('edge')!.ping(LOCAL4[0]!);
      await lab.lab.namespaces.get('edge')!.ping(LOCAL6[0]!);
      await lab.start({
        ...lab.config({ driver }),
        nat: { nat4: [SERVER_SIDE], nat6: [SERVER_SIDE] },
        commands: KEYS.filter(({ key }) => key.includes('tcp port 8080')).flatMap(({ family, key, spelling }) => [
          `lb vip ${key} encap nat${family} type nodeport ${spelling}`,
          `lb as ${key} ${family === 4 ? lab.serverAddresses : lab.serverAddresses6}`,
        ]),
      });
    });

    afterAll(async () => {
      await lab?.destroy();
    });

    /** What a host has learnt about the way to another, bytes; the link's MTU if nothing. */
    async function learntMtu(namespace: Namespace, address: string): Promise<number> {
      const text = await namespace.exec('ip', ['route', 'get', address]);
      return Number(/mtu (\d+)/.exec(text)?.[1] ?? 1500);
    }

    it.each([
      { node: LOCAL4[0]!, from: '10.2.0.2' },
      { node: LOCAL6[0]!, from: '2001:db8:3::2' },
    ])('files go both ways through $node', async ({ node, from }) => {
      const url = `http://${inUrl(node)}:30080/`;
      expect(await client.call('httpUpload', { url, bytes: 300_000 })).toBe('server1');
      // A router behind lbd has told the client of what it sent to the node: on lbd's NAT interface, about a server.
      expect(await learntMtu(lab.client, node)).toBe(ROUTERS.serverMtu);
      const load = { url: `${url}?bytes=300000`, requests: 1, timeout: 20_000 };
      expect(await client.call('httpLoad', load)).toMatchObject({ ok: 1, errors: [] });
      // A router in front has told the node's address of what a server had sent from the node port.
      expect(await learntMtu(lab.servers[0]!, from)).toBe(ROUTERS.clientMtu);
    });
  });
});
