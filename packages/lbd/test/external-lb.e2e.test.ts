import { type Actor, BalancerLab, labSuite, SERVER_SIDE } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** As they are known outside: addresses of the router, which is the load balancer in front of the node. */
const PUBLIC = { 4: '198.51.100.1', 6: '2001:db8:99::1' } as const;
const VIP = { 4: '10.10.2.2', 6: '2001:db8:10::2' } as const;
/** The router's address on the node's network: where clients come from that it hides behind it. */
const HIDDEN = { 4: '10.1.0.2', 6: '2001:db8:1::2' } as const;
/** Addresses of the node. */
const NODE = { 4: '10.1.0.1', 6: '2001:db8:1::1' } as const;

/** What the router translates: its ports 80 (VIP), 81 (node port), 82 (the VIP, source hidden), 53 (UDP, VIP). */
const rules = (family: 4 | 6): string[] => {
  const ip = family === 4 ? 'ip' : 'ip6';
  const to = (address: string, port: number) => `dnat ${ip} to ${family === 4 ? address : `[${address}]`}:${port}`;
  return [
    `add rule inet lb in ${ip} daddr ${PUBLIC[family]} tcp dport { 80, 82 } ${to(VIP[family], 8080)}`,
    `add rule inet lb in ${ip} daddr ${PUBLIC[family]} tcp dport 81 ${to(NODE[family], 30080)}`,
    `add rule inet lb in ${ip} daddr ${PUBLIC[family]} udp dport 53 ${to(VIP[family], 5353)}`,
    `add rule inet lb out ${ip} daddr ${VIP[family]} meta l4proto tcp ct original proto-dst 82 masquerade`,
  ];
};

const inUrl = (address: string) => (address.includes(':') ? `[${address}]` : address);

labSuite(describe, 'xdp', 'behind an external load balancer', () => {
  let lab: BalancerLab;
  let client: Actor;

  beforeAll(async () => {
    lab = await BalancerLab.create('external', { ip6: true, routers: { clientMtu: 1500, serverMtu: 1500 } });
    const router = lab.lab.namespaces.get('edge')!;
    await router.ip(`address add ${PUBLIC[4]}/32 dev lo`, `address add ${PUBLIC[6]}/128 dev lo nodad`);
    await lab.client.ip(`route add ${PUBLIC[4]}/32 via 10.2.0.1`);
    await router.exec('nft', ['-f', '-'], {
      input: [
        'add table inet lb',
        'add chain inet lb in { type nat hook prerouting priority dstnat; }',
        'add chain inet lb out { type nat hook postrouting priority srcnat; }',
        ...rules(4),
        ...rules(6),
        '',
      ].join('\n'),
    });
    client = await lab.client.actor();
    for (const server of await lab.serverActors()) {
      await server.call('httpServer', { port: 80, address: '::' });
      await server.call('udpEcho', { port: 53, address: '::' });
    }
    await lab.start({
      ...lab.config({ driver: 'af_xdp' }),
      nat: { nat4: [SERVER_SIDE], nat6: [SERVER_SIDE] },
      commands: ([4, 6] as const).flatMap((family) => {
        const prefix = `${VIP[family]}/${family === 4 ? 32 : 128}`;
        const servers = (family === 4 ? lab.serverAddresses : lab.serverAddresses6).join(' ');
        return [
          `lb vip ${prefix} protocol tcp port 8080 encap nat${family} type nodeport target_port 80 node_port 30080`,
          `lb as ${prefix} protocol tcp port 8080 ${servers}`,
          `lb vip ${prefix} protocol udp port 5353 encap nat${family} target_port 53`,
          `lb as ${prefix} protocol udp port 5353 ${servers}`,
        ];
      }),
    });
    for (const family of [4, 6] as const) await router.ping(NODE[family]); // so that the node knows its MAC address
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  describe.each([4, 6] as const)('over IPv%s', (family) => {
    it.each([
      ['the VIP', 80],
      ['a node port', 81],
      ['the VIP, all clients hidden behind one address', 82],
    ])('TCP reaches %s', async (_, port) => {
      const url = `http://${inUrl(PUBLIC[family])}:${port}/?bytes=20000`;
      const result = await client.call('httpLoad', { url, requests: 120, connections: 6, perConnection: 2 });
      expect(result).toMatchObject({ ok: 120, failed: 0, errors: [] });
      expect(Object.keys(result.servers).sort()).toEqual(['server1', 'server2', 'server3']);
      for (const flow of result.flows) expect(flow.servers.length).toBe(1);
      const curl = await lab.client.exec('curl', ['--silent', '--show-error', '--max-time', '5', url]);
      expect(curl).toMatch(/^server\d/);
    });

    it('UDP reaches the VIP', async () => {
      const load = { host: PUBLIC[family], port: 53, sockets: 40, datagrams: 3, bytes: 1000 };
      expect(await client.call('udpLoad', load)).toMatchObject({ answered: 120, lost: 0, damaged: 0 });
    });

    it('connections of clients hidden behind one address are told apart by their ports', async () => {
      const server = lab.servers[0]!;
      const capture = await server.capture('eth0', `${lab.lab.folder}/v${family}.pcap`, 'tcp dst port 80');
      const url = `http://${inUrl(PUBLIC[family])}:82/`;
      await client.call('httpLoad', { url, requests: 60, connections: 6, perConnection: 1 });
      const file = await capture.stop();
      const layer = family === 4 ? 'IP' : 'IPv6';
      const script = `
import sys
from scapy.all import IP, IPv6, TCP, rdpcap
seen = {(p[${layer}].src, p[TCP].sport) for p in rdpcap(sys.argv[1]) if TCP in p and p[TCP].flags & 2}
print(len({host for host, _ in seen}), len(seen) > 5, min(host for host, _ in seen))`;
      expect((await lab.client.python(script, [file])).trim()).toBe(`1 True ${HIDDEN[family]}`);
    });
  });
});
