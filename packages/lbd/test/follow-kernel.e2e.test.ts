import { type Actor, BalancerLab, type Daemon, labSuite, sleep, waitFor } from '@lbd/netlab';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const VIP = '10.10.3.3/32 protocol udp port 5353';
/** An address that two servers have, so that a route decides which of them gets the packets. */
const ANYCAST = '172.16.0.1';

/** A gateway that answers nobody, which the host knows for good. */
const SILENT = '192.168.1.77';

labSuite(describe, 'xdp', 'routes and neighbours of the kernel, under traffic', () => {
  let lab: BalancerLab;
  let lbd: Daemon;
  let client: Actor;

  beforeEach(async () => {
    lab = await BalancerLab.create('follow', { servers: 2 });
    client = await lab.client.actor();
    for (const [index, server] of lab.servers.entries()) {
      await server.ip(`address add ${ANYCAST}/32 dev lo`);
      const actor = await server.actor();
      await actor.call('udpEcho', { port: 53, address: ANYCAST });
      await actor.call('udpEcho', { port: 53, address: `192.168.1.${index + 1}` });
    }
    await lab.host.ip(
      `route add ${ANYCAST}/32 via 192.168.1.1`,
      `neigh add ${SILENT} lladdr 02:00:00:00:00:77 nud permanent dev lan0`,
      `route add 172.16.0.7/32 via ${SILENT}`,
    );
    lbd = await lab.start({
      ...lab.config({ driver: 'af_xdp' }),
      commands: [`lb vip ${VIP} encap nat4 type clusterip target_port 53`],
    });
  });

  afterEach(async () => {
    await lab?.destroy();
  });

  const load = (datagrams: number) =>
    client.call('udpLoad', {
      host: '10.10.3.3',
      port: 5353,
      sockets: 4,
      datagrams,
      interval: 5,
      timeout: 300,
    });

  /** The first packet to a server that nobody has spoken to is given up for the question where it is. */
  const warmUp = () => waitFor('all answers', async () => (await load(1)).answered === 4);

  it('leave alone what the host knows for good', async () => {
    // Longer than the kernel would ask for it.
    await sleep(4000);
    expect(String(await lab.host.exec('ip', ['neigh', 'show', SILENT]))).toMatch(/02:00:00:00:00:77.*PERMANENT/);
    expect(await lbd.command('show ip fib')).toMatch(/172\.16\.0\.7\/32\s+via 192\.168\.1\.77 lan0 02:00:00:00:00:77/);
  });

  it('follow a route that changes: the same flows go the new way', async () => {
    await lbd.command(`lb as ${VIP} ${ANYCAST}`);
    await warmUp();
    expect(await load(5)).toMatchObject({ lost: 0, servers: { server1: 20 } });
    const traffic = load(300);
    await sleep(300);
    await lab.host.ip(`route replace ${ANYCAST}/32 via 192.168.1.2`);
    const result = await traffic;
    expect(result).toMatchObject({ damaged: 0 });
    // Only what was sent before the new gateway's MAC was known: each of the four flows waits for an answer.
    expect(result.lost).toBeLessThanOrEqual(4);
    expect(result.servers.server1).toBeGreaterThan(50);
    expect(result.servers.server2).toBeGreaterThan(50);
    for (const flow of result.flows) expect(flow.servers).toEqual(['server1', 'server2']);
    expect(await lbd.command('show ip fib')).toMatch(/172\.16\.0\.1\/32.*192\.168\.1\.2/s);
  });

  it('follow a route that goes and comes back', async () => {
    await lbd.command(`lb as ${VIP} ${ANYCAST}`);
    await lab.host.ip(`route del ${ANYCAST}/32`, `route add unreachable ${ANYCAST}/32`);
    await waitFor('nobody to answer', async () => (await load(1)).answered === 0);
    await lab.host.ip(`route del unreachable ${ANYCAST}/32`, `route add ${ANYCAST}/32 via 192.168.1.2`);
    await waitFor('server2 to answer', async () => (await load(1)).servers.server2 === 4);
  });

  it('follow a neighbour that gets another MAC', async () => {
    await lbd.command(`lb as ${VIP} 192.168.1.1`);
    await warmUp();
    expect(await load(5)).toMatchObject({ lost: 0 });
    const traffic = load(400);
    await sleep(1500); // a kernel believes no second change of a neighbour within a second (locktime)
    const [server] = lab.servers;
    await server.sysctl('net.ipv4.conf.eth0.arp_notify', 1); // it announces its new address, as hosts do
    await server.ip('link set eth0 address 02:00:00:00:aa:01');
    const result = await traffic;
    expect(result.lost).toBeLessThanOrEqual(20);
    expect(await load(10)).toMatchObject({ lost: 0, servers: { server1: 40 } });
    const [neighbour] = await lab.host.ipJson('neigh', 'show', '192.168.1.1');
    expect(neighbour.lladdr).toBe('02:00:00:00:aa:01');
    expect(await lbd.command('show ip fib')).toContain('02:00:00:00:aa:01');
  });

  it('ask the kernel to resolve a neighbour that nobody has spoken to', async () => {
    await lab.host.ip('neigh flush dev lan0');
    await lbd.command(`lb as ${VIP} 192.168.1.2`);
    await waitFor('an answer', async () => (await load(1)).answered === 4);
    expect(await load(10)).toMatchObject({ lost: 0 });
  });
});
