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
  });
});
