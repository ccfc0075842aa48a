import { type Actor, Daemon, Lab, labSuite, type Namespace } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const LAN = 'lan0';
const NODE = { 4: '192.168.1.254', 6: '2001:db8:2::fe' } as const;
const VIP = { 4: '10.10.2.2', 6: '2001:db8:10::2' } as const;
const SERVERS = {
  4: [1, 2, 3].map((n) => `192.168.1.${n}`),
  6: [1, 2, 3].map((n) => `2001:db8:2::${n}`),
} as const;

/** Where each service can be reached: at its VIP, and at the node's address by a node port. */
const WAYS = ([4, 6] as const).flatMap((family) => [
  { host: VIP[family], tcp: 8080, udp: 5353 },
  { host: NODE[family], tcp: 30080, udp: 30053 },
]);
const inUrl = (address: string) => (address.includes(':') ? `[${address}]` : address);

/**
 *     client 10.2.0.2 --- 10.2.0.1 router 192.168.1.253 --- switch --- 192.168.1.254 lan0 [lbd]
 *                                                              |
 *                                                              +------ servers 192.168.1.1, .2, .3, default route by lbd
 */
describe.each(['af_xdp', 'af_packet'])('one interface for clients and servers, with %s', (driver) => {
  labSuite(describe, 'xdp', 'NAT of both families', () => {
    let lab: Lab;
    let client: Actor;
    let clients: Namespace;
    let servers: Namespace[];

    beforeAll(async () => {
      lab = await Lab.create('one-arm');
      const network = await lab.switch('switch');
      clients = await lab.namespace('client');
      const router = await lab.namespace('router');
      const host = await lab.namespace('lbd');
      for (const forwarding of [router, host]) {
        await forwarding.sysctl('net.ipv4.ip_forward', 1);
        await forwarding.sysctl('net.ipv6.conf.all.forwarding', 1);
      }
      const end = (name: string, address4: string, address6: string) => ({
        name,
        addresses: [`${address4}/24`, `${address6}/64 nodad`],
      });
      await lab.link(clients, router, {
        a: end('eth0', '10.2.0.2', '2001:db8:3::2'),
        b: end('eth0', '10.2.0.1', '2001:db8:3::1'),
      });
      await network.attach(router, { a: end('eth1', '192.168.1.253', '2001:db8:2::fd') });
      await network.attach(host, { a: end(LAN, NODE[4], NODE[6]) });
      await clients.ip('route add default via 10.2.0.1', 'route add default via 2001:db8:3::1');
      await router.ip(`route add 10.10.0.0/16 via ${NODE[4]}`, `route add 2001:db8:10::/48 via ${NODE[6]}`);
      await host.ip('route add 10.2.0.0/24 via 192.168.1.253', 'route add 2001:db8:3::/64 via 2001:db8:2::fd');
      servers = [];
      for (const [n, address] of SERVERS[4].entries()) {
        const server = await lab.namespace(`server${n + 1}`);
        await network.attach(server, { a: end('eth0', address, SERVERS[6][n]!) });
        await server.ip(`route add default via ${NODE[4]}`, `route add default via ${NODE[6]}`);
        const actor = await server.actor();
        await actor.call('httpServer', { port: 80, address: '::' });
        await actor.call('udpEcho', { port: 53, address: '::' });
        servers.push(server);
      }
      client = await clients.actor();
      await Daemon.start(
        host,
        {
          interfaces: [{ name: LAN, driver }],
          nat: { nat4: [LAN], nat6: [LAN] },
          vips: ([4, 6] as const).flatMap((family) =>
            [
              { protocol: 'tcp', port: 8080, target_port: 80, node_port: 30080 },
              { protocol: 'udp', port: 5353, target_port: 53, node_port: 30053 },
            ].map((service) => ({
              prefix: `${VIP[family]}/${family === 4 ? 32 : 128}`,
              encap: `nat${family}`,
              type: 'nodeport',
              ...service,
              as: SERVERS[family].map((address) => ({ address })),
            })),
          ),
        },
        { folder: lab.folder },
      );
      // So that the node knows the router.
      for (const address of [NODE[4], NODE[6]]) expect(await clients.ping(address)).toBe(1);
    });
    afterAll(async () => {
      await lab?.destroy();
    });

    it.each(WAYS)('TCP and UDP go both ways through $host', async ({ host, tcp, udp }) => {
      const url = `http://${inUrl(host)}:${tcp}/`;
      const result = await client.call('httpLoad', {
        url: `${url}?bytes=50000`,
        requests: 60,
        connections: 3,
        perConnection: 2,
      });
      expect(result).toMatchObject({ ok: 60, failed: 0, errors: [] });
      expect(Object.keys(result.servers).sort()).toEqual(['server1', 'server2', 'server3']);
      expect(await client.call('httpUpload', { url, bytes: 300_000 })).toMatch(/^server\d$/);
      for (const bytes of [32, 4000]) {
        const load = { host, port: udp, sockets: 20, datagrams: 3, bytes };
        expect(await client.call('udpLoad', load)).toMatchObject({ answered: 60, lost: 0, damaged: 0 });
      }
    });

    it('servers reach one another, the node and clients as before', async () => {
      for (const bytes of [32, 4000]) {
        expect(await servers[0]!.ping(SERVERS[4][1]!, { bytes })).toBe(1);
        expect(await servers[0]!.ping(NODE[4], { bytes })).toBe(1);
        expect(await servers[0]!.ping(NODE[6], { bytes })).toBe(1);
        expect(await servers[0]!.ping('10.2.0.2', { bytes })).toBe(1);
        expect(await clients.ping(SERVERS[6][0]!, { bytes })).toBe(1);
      }
    });
  });
});
