import { BalancerLab, labSuite } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENCAP_CASES, type EncapCase, EncapLab } from './support/encap-lab.ts';

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

describe.each(cases)('path MTU discovery with $name', (encapCase) => {
  labSuite(describe, 'xdp', 'over links of unequal MTU', () => {
    let bed: EncapLab;

    beforeAll(async () => {
      const lab = await BalancerLab.create('mtu', { ip6: true, servers: 1, routers: ROUTERS });
      bed = await EncapLab.create(encapCase, { lab });
    });

    afterAll(async () => {
      await bed?.destroy();
    });

    it.runIf(throughServerSide(encapCase))(
      'carries a file to the server, through the narrow link behind lbd',
      async () => {
        const { client, words, lab } = bed;
        expect(await client.call('httpUpload', { url: words.url, bytes: 300_000 })).toBe('server1');
        const mtu = await learntMtu(lab.client, words.vip);
        // The tunnel's IPv4 packets may be fragmented on their way, by VPP's outer header: nobody need be told.
        if (encapCase.encap === 'gre4') expect(mtu).toBe(1476);
        else expect(mtu).toBe(ROUTERS.serverMtu - (encapCase.encap === 'gre6' ? 44 : 0));
      },
    );

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
  });
});
