import { labSuite } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drops } from './support/counters.ts';
import { ENCAP_CASES, EncapLab, PORT } from './support/encap-lab.ts';

describe.each(ENCAP_CASES)('$name', (encapCase) => {
  labSuite(describe, 'xdp', 'with real clients and servers', () => {
    let bed: EncapLab;

    beforeAll(async () => {
      bed = await EncapLab.create(encapCase);
    });

    afterAll(async () => {
      await bed?.destroy();
    });

    it('answers HTTP, each connection from one server, all servers taking part', async () => {
      const { client, words, lbd } = bed;
      const fresh = await client.call('httpLoad', { url: words.url, requests: 150, connections: 6, perConnection: 1 });
      expect(fresh.errors).toEqual([]);
      expect(fresh.ok).toBe(150);
      const kept = await client.call('httpLoad', { url: `${words.url}?bytes=20000`, requests: 60, connections: 6 });
      expect(kept.errors).toEqual([]);
      for (const flow of [...fresh.flows, ...kept.flows]) expect(flow.servers.length).toBe(1);
      for (const server of ['server1', 'server2', 'server3']) expect(fresh.servers[server]).toBeGreaterThan(15);
      expect(await drops(lbd)).toBe(0);
    });

    it('answers UDP from the very address and port that was asked', async () => {
      const load = { host: bed.words.vip, port: PORT, sockets: 30, datagrams: 3 };
      const result = await bed.client.call('udpLoad', load);
      expect(result).toMatchObject({ answered: 90, lost: 0, damaged: 0 });
      for (const { servers } of result.flows) expect(servers.length).toBe(1);
      expect(Object.keys(result.servers).length).toBe(3);
    });

    it('answers ping: lbd for a VIP of one port, a server for one of all ports', async () => {
      expect(await bed.lab.client.ping(bed.words.vip, { count: 3 })).toBe(3);
    });

    it('carries a file each way, larger packets than fit included', async () => {
      const { client, words } = bed;
      expect(await client.call('httpUpload', { url: words.url, bytes: 500_000 })).toMatch(/^server/);
      const down = await client.call('httpLoad', { url: `${words.url}?bytes=500000`, requests: 2, timeout: 20_000 });
      expect(down.errors).toEqual([]);
    });

    it('has all fragments of a datagram meet at the server of its flow, and so do those of the answer at the client', async () => {
      const { client, words } = bed;
      // Datagrams of three fragments, and of one, in the same flows.
      const large = { host: words.vip, port: PORT, sockets: 20, datagrams: 3, bytes: 4000 };
      // The client's kernel learns first what the way takes (RFC 8201): that costs datagrams.
      await client.call('udpLoad', { ...large, sockets: 1, interval: 100 });
      const result = await client.call('udpLoad', large);
      expect(result).toMatchObject({ answered: 60, lost: 0, damaged: 0 });
      for (const { servers } of result.flows) expect(servers.length).toBe(1);
      expect(Object.keys(result.servers).length).toBe(3);
    });

    it('does so whatever their order', async () => {
      const { lab, words, servers } = bed;
      const before = await Promise.all(servers.map((server) => server.call('udpReceived')));
      const sent = Number(await lab.client.python(SHUFFLED, [words.vip, String(PORT)]));
      const received = await Promise.all(servers.map((server) => server.call('udpReceived')));
      expect(received.reduce((sum, n, i) => sum + n - before[i]!, 0)).toBe(sent);
    });
  });
});

/** Sends datagrams whose fragments are the wrong way round or shuffled; prints how many. */
const SHUFFLED = `
import sys, random, logging, time
logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.all import conf, fragment, fragment6, IP, IPv6, UDP, IPv6ExtHdrFragment, Raw
conf.verb = 0
vip, port = sys.argv[1], int(sys.argv[2])
socket = conf.L3socket6() if ':' in vip else conf.L3socket()
random.seed(1)
count = 12
for n in range(count):
    payload = Raw(bytes(random.randrange(256) for _ in range(3000)))
    udp = UDP(sport=41000 + n, dport=port)
    if ':' in vip:
        pieces = fragment6(IPv6(dst=vip) / IPv6ExtHdrFragment(id=7000 + n) / udp / payload, 1280)
    else:
        pieces = fragment(IP(dst=vip, id=7000 + n) / udp / payload, 1000)
    pieces.reverse()
    if n % 2:
        random.shuffle(pieces)
    for piece in pieces:
        socket.send(piece)
time.sleep(0.5)
print(count)
`;
