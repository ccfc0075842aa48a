import { BalancerLab, labSuite, VIP_URL } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const SECOND = '10.10.2.3/32 protocol tcp port 9090';
const SECOND_URL = 'http://10.10.2.3:9090/';

labSuite(describe, 'xdp', 'two VIPs that share a server and its port', () => {
  let lab: BalancerLab;

  beforeAll(async () => {
    lab = await BalancerLab.create('sharing', { servers: 1 });
    await lab.httpServers();
    const commands = [...lab.vipCommands];
    commands.push(`lb vip ${SECOND} encap nat4 type clusterip target_port 80`, `lb as ${SECOND} 192.168.1.1`);
    await lab.start({ ...lab.config({ driver: 'af_xdp' }), commands });
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  it('each give their clients the address and port back that they used', async () => {
    const [one, other] = [await lab.client.actor('one'), await lab.client.actor('other')];
    // The client's kernel resets a connection whose answers come from elsewhere.
    const results = await Promise.all([
      one.call('httpLoad', { url: VIP_URL, requests: 100, connections: 4, perConnection: 5 }),
      other.call('httpLoad', { url: SECOND_URL, requests: 100, connections: 4, perConnection: 5 }),
    ]);
    for (const result of results) expect(result).toMatchObject({ ok: 100, failed: 0, errors: [] });
  });

  it('do not get in the way of the server’s own address', async () => {
    const client = await lab.client.actor();
    const direct = await client.call('httpLoad', { url: 'http://192.168.1.1/', requests: 20, perConnection: 1 });
    expect(direct).toMatchObject({ ok: 20, failed: 0 });
  });
});
