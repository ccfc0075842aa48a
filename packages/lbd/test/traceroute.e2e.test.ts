import { BalancerLab, labSuite } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENCAP_CASES, EncapLab, PORT } from './support/encap-lab.ts';

/**
 * Sends a TCP SYN with a TTL of 1, 2, ... to the VIP until something other than "time exceeded" answers: a line for each
 * answer. Errors are shown with the destination and port that they quote.
 */
const TRACEROUTE = `
import sys, logging
logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.all import conf, sr1, IP, IPv6, TCP, ICMP, IPerror, TCPerror, IPerror6, ICMPv6TimeExceeded
conf.verb = 0
vip, port = sys.argv[1], int(sys.argv[2])
for ttl in range(1, 8):
    tcp = TCP(sport=40000 + ttl, dport=port, flags='S')
    answer = sr1((IPv6(dst=vip, hlim=ttl) if ':' in vip else IP(dst=vip, ttl=ttl)) / tcp, timeout=2)
    if answer is None:
        print('nothing')
    elif answer.haslayer(TCPerror):
        quoted = answer.getlayer(IPerror6 if ':' in vip else IPerror)
        print(answer.src, 'quotes', quoted.dst, quoted[TCPerror].dport)
    else:
        print(answer.src, 'answers', answer.sprintf('%TCP.flags%'))
        break
`;

const cases = ENCAP_CASES.filter(({ perPort }) => perPort);

describe.each(cases)('traceroute to $name', (encapCase) => {
  labSuite(describe, 'xdp', 'over two routers', () => {
    let bed: EncapLab;

    beforeAll(async () => {
      const lab = await BalancerLab.create('hops', {
        ip6: true,
        servers: 1,
        routers: { clientMtu: 1500, serverMtu: 1500 },
      });
      bed = await EncapLab.create(encapCase, { lab });
    });

    afterAll(async () => {
      await bed?.destroy();
    });

    it('shows lbd as one hop, and nothing of the servers’ addresses', async () => {
      const { words, lab } = bed;
      const { vip } = words;
      const six = encapCase.vipFamily === 6;
      const edge = `${six ? '2001:db8:3::1' : '10.2.0.1'} quotes ${vip} ${PORT}`;
      const lbd = `${six ? '2001:db8:1::1' : '10.1.0.1'} quotes ${vip} ${PORT}`;
      const core = `${six ? '2001:db8:2::fd' : '192.168.1.253'} quotes ${vip} ${PORT}`;
      const server = `${vip} answers SA`;
      // In a tunnel, the packet travels as it came: what is between lbd and the server is no hop of its.
      const tunnel = [edge, server];
      // An L3DSR server's address is what a router behind lbd quotes: there is no session to know the VIP by.
      const l3dsr = [edge, lbd, core.replace(vip, words.servers[0]!), server];
      const expected = words.nat ? [edge, lbd, core, server] : encapCase.encap === 'l3dsr' ? l3dsr : tunnel;
      const said = await lab.client.python(TRACEROUTE, [vip, String(PORT)]);
      expect(said.trim().split('\n')).toEqual(expected);
    });
  });
});
