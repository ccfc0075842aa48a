import { BalancerLab, labSuite } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENCAP_CASES, type EncapCase, EncapLab, PORT } from './support/encap-lab.ts';

/** What the routers let through to the client and to the servers, bytes; every link takes 1500. */
const ROUTERS = { clientMtu: 1300, serverMtu: 1360 };

const cases = ENCAP_CASES.filter(({ perPort }) => perPort);

/**
 * What a router behind lbd quotes of an L3DSR packet is addressed to the server: no client can know it for its own. Links
 * to L3DSR servers must take what clients send.
 */
const throughServerSide = ({ encap }: EncapCase) => encap !== 'l3dsr';

/** What a host has learnt about the way to another, bytes; the link's MTU if nothing. */
async function learntMtu(host: BalancerLab['client'], address: string): Promise<number> {
  const text = await host.exec('ip', ['route', 'get', address]);
  return Number(/mtu (\d+)/.exec(text)?.[1] ?? 1500);
}

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

describe.each(cases)('$name, over routers', (encapCase) => {
  labSuite(describe, 'xdp', 'with narrow links behind them', () => {
    let bed: EncapLab;

    beforeAll(async () => {
      const lab = await BalancerLab.create('mtu', { ip6: true, servers: 1, routers: ROUTERS });
      bed = await EncapLab.create(encapCase, { lab });
    });

    afterAll(async () => {
      await bed?.destroy();
    });

    if (throughServerSide(encapCase)) {
      it('carries a file to the server, through the narrow link behind lbd', async () => {
        const { client, words, lab } = bed;
        expect(await client.call('httpUpload', { url: words.url, bytes: 300_000 })).toBe('server1');
        const mtu = await learntMtu(lab.client, words.vip);
        // The tunnel's IPv4 packets may be fragmented on their way, by VPP's outer header: nobody need be told.
        if (encapCase.encap === 'gre4') expect(mtu).toBe(1476);
        else expect(mtu).toBe(ROUTERS.serverMtu - (encapCase.encap === 'gre6' ? 44 : 0));
      });
    }

    it('carries a file to the client, through the narrow link behind the clients’ router', async () => {
      const { client, words, lab } = bed;
      const url = `${words.url}?bytes=300000`;
      const { errors, ok } = await client.call('httpLoad', { url, requests: 1, timeout: 20_000 });
      expect(errors).toEqual([]);
      expect(ok).toBe(1);
      // The router's word went to the VIP, and from there to the very server that had to hear it.
      const address = encapCase.vipFamily === 4 ? '10.2.0.2' : '2001:db8:3::2';
      expect(await learntMtu(lab.servers[0]!, address)).toBe(ROUTERS.clientMtu);
    });

    it('shows lbd to a traceroute as one hop, and nothing of the servers’ addresses', async () => {
      const { words, lab } = bed;
      const { vip } = words;
      const six = encapCase.vipFamily === 6;
      const edge = `${six ? '2001:db8:3::1' : '10.2.0.1'} quotes ${vip} ${PORT}`;
      const lbd = `${six ? '2001:db8:1::1' : '10.1.0.1'} quotes ${vip} ${PORT}`;
      const core = `${six ? '2001:db8:2::fd' : '192.168.1.253'} quotes ${vip} ${PORT}`;
      const server = `${vip} answers SA`;
      // In a tunnel, the packet travels as it came: what is between lbd and the server is no hop of its.
      const tunnel = [edge, server];
      // An L3DSR server's address is what a router behind lbd quotes: no client can know that packet for its own.
      const l3dsr = [edge, lbd, 'nothing', server];
      const expected = words.nat ? [edge, lbd, core, server] : encapCase.encap === 'l3dsr' ? l3dsr : tunnel;
      const said = await lab.client.python(TRACEROUTE, [vip, String(PORT)]);
      expect(said.trim().split('\n')).toEqual(expected);
    });
  });
});
