import { labSuite } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENCAP_CASES, EncapLab, PORT } from './support/encap-lab.ts';

describe.each(ENCAP_CASES)('fragments with $name', (encapCase) => {
  labSuite(describe, 'xdp', 'of the kernels’ own', () => {
    let bed: EncapLab;

    beforeAll(async () => {
      bed = await EncapLab.create(encapCase);
    });

    afterAll(async () => {
      await bed?.destroy();
    });

    it('of one datagram meet at the server of its flow, and so do those of the answer at the client', async () => {
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

    it('that come in any order do, too', async () => {
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
from scapy.all import conf, send, fragment, fragment6, IP, IPv6, UDP, IPv6ExtHdrFragment, Raw
conf.verb = 0
vip, port = sys.argv[1], int(sys.argv[2])
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
        send(piece)
time.sleep(0.5)
print(count)
`;
