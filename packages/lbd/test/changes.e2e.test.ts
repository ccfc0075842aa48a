import {
  type Actor,
  BalancerLab,
  type Daemon,
  type HttpFlow,
  labSuite,
  sleep,
  VIP_KEY,
  VIP_URL,
  waitFor,
} from '@lbd/netlab';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { drops } from './support/counters.ts';

const CONNECTIONS = 40;

labSuite(describe, 'xdp', 'changes under traffic', () => {
  let lab: BalancerLab;
  let lbd: Daemon;
  let client: Actor;
  let newcomer: Actor;

  beforeEach(async () => {
    lab = await BalancerLab.create('changes', { servers: 4 });
    await lab.httpServers();
    client = await lab.client.actor();
    newcomer = await lab.client.actor();
    await lab.client.ping('10.1.0.1'); // see drops
    lbd = await lab.start(lab.config({ driver: 'af_xdp' }));
    await lbd.command(`lb vip ${VIP_KEY} encap nat4 type clusterip target_port 80`);
    await lbd.command(`lb as ${VIP_KEY} 192.168.1.1 192.168.1.2 192.168.1.3`);
    // Connections that are there before the change, and talk all the while.
    await client.call('httpStart', { url: VIP_URL, connections: CONNECTIONS, interval: 5 });
    await talked(5);
  });

  afterEach(async () => {
    await lab?.destroy();
  });

  /** Waits until each connection has had as many more answers. */
  async function talked(answers: number): Promise<void> {
    const { flows } = await client.call('httpSoFar');
    const before = new Map(flows.map((flow) => [flow.localPort, flow.ok]));
    await waitFor('all connections to talk', async () => {
      const now = (await client.call('httpSoFar')).flows;
      return (
        now.length >= CONNECTIONS && now.every(({ localPort, ok }) => ok >= (before.get(localPort) ?? 0) + answers)
      );
    });
  }

  /** Ends the traffic: not one request failed, and no connection changed its server. */
  async function expectUndisturbed(): Promise<HttpFlow[]> {
    await talked(20);
    const result = await client.call('httpStop');
    expect(result.errors).toEqual([]);
    expect(result.flows.length).toBe(CONNECTIONS);
    for (const flow of result.flows) expect(flow.servers.length).toBe(1);
    expect(await drops(lbd)).toBe(0);
    return result.flows;
  }

  /** The servers that new connections get. */
  async function newFlows(requests = 120): Promise<Record<string, number>> {
    const result = await newcomer.call('httpLoad', { url: VIP_URL, requests, connections: 4, perConnection: 1 });
    expect(result.errors).toEqual([]);
    return result.servers;
  }

  it('a server that is added gets new flows and takes none from the others', async () => {
    await lbd.command(`lb as ${VIP_KEY} 192.168.1.4`);
    const servers = await newFlows();
    expect(servers.server4).toBeGreaterThan(5);
    const flows = await expectUndisturbed();
    expect(new Set(flows.map((flow) => flow.servers[0]))).toEqual(new Set(['server1', 'server2', 'server3']));
  });

  it('a server that is deleted keeps its flows and gets no new ones', async () => {
    await lbd.command(`lb as ${VIP_KEY} 192.168.1.1 del`);
    expect(await newFlows()).not.toHaveProperty('server1');
    const flows = await expectUndisturbed();
    expect(flows.map((flow) => flow.servers[0])).toContain('server1');
  });

  it('a server of weight 0 keeps its flows and gets no new ones; it may come back', async () => {
    await lbd.command(`lb as ${VIP_KEY} 192.168.1.2 weight 0`);
    expect(await newFlows()).not.toHaveProperty('server2');
    await lbd.command(`lb as ${VIP_KEY} 192.168.1.2 weight 100`);
    expect(await newFlows()).toHaveProperty('server2');
    const flows = await expectUndisturbed();
    expect(flows.map((flow) => flow.servers[0])).toContain('server2');
  });

  it('flows of a server deleted with flush go elsewhere; those of the others stay', async () => {
    await lbd.command(`lb as ${VIP_KEY} 192.168.1.3 del flush`);
    await sleep(500);
    const answered = new Map((await client.call('httpSoFar')).flows.map(({ localPort, ok }) => [localPort, ok]));
    await sleep(500);
    const result = await client.call('httpStop');
    const [theirs, others] = [
      result.flows.filter((flow) => flow.servers.includes('server3')),
      result.flows.filter((flow) => !flow.servers.includes('server3')),
    ];
    // A server that never heard of a connection resets it: the client opens a new one, and the old one is heard no more.
    expect(theirs.length).toBeGreaterThan(0);
    for (const flow of theirs) expect(flow.ok).toBe(answered.get(flow.localPort));
    expect(result.failed).toBeLessThanOrEqual(theirs.length);
    for (const flow of others) expect(flow.servers.length).toBe(1);
    const [vip] = await lbd.data('show lb vips verbose');
    expect(vip.servers.map(({ address }: { address: string }) => address)).not.toContain('192.168.1.3');
  });

  it('another VIP comes and goes, and a hundred changes do no harm', async () => {
    const other = '10.10.2.9/32 protocol tcp port 443';
    for (let round = 0; round < 20; round++) {
      await lbd.command(`lb vip ${other} encap nat4 type clusterip target_port 80`);
      await lbd.command(`lb as ${other} 192.168.1.1 192.168.1.4`);
      await lbd.command(`lb as ${VIP_KEY} 192.168.1.4 weight ${(round * 10) % 101}`);
      await lbd.command('lb conf timeout 40');
      await lbd.command(`lb vip ${other} del`);
    }
    await expectUndisturbed();
  });
});
