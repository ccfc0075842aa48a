import { type Actor, BalancerLab, type Daemon, labSuite, VIP_URL, waitFor } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

describe.each([
  { driver: 'af_xdp', need: 'xdp' },
  { driver: 'af_packet', need: 'namespaces' },
] as const)('an interface of $driver that goes down and comes up again', ({ driver, need }) => {
  labSuite(describe, need, 'under a running lbd', () => {
    let lab: BalancerLab;
    let lbd: Daemon;
    let client: Actor;

    beforeAll(async () => {
      lab = await BalancerLab.create('down');
      await lab.httpServers();
      client = await lab.client.actor();
      lbd = await lab.start({ ...lab.config({ driver }), commands: lab.vipCommands });
    });

    afterAll(async () => {
      await lab?.destroy();
    });

    const requests = () => client.call('httpLoad', { url: VIP_URL, requests: 20, perConnection: 1, timeout: 500 });
    const isUp = async (name: string) =>
      ((await lbd.data('show interface')) as { name: string; up: boolean }[]).find((i) => i.name === name)!.up;

    it.each(['lan0', 'wan0'])('%s: lbd goes on, and balances again', async (name) => {
      expect((await requests()).errors).toEqual([]);
      await lab.host.ip(`link set ${name} down`);
      await waitFor('lbd to know it', async () => !(await isUp(name)));
      await lab.host.ip(`link set ${name} up`);
      await waitFor('lbd to know it', () => isUp(name));
      await waitFor('answers', async () => (await requests()).failed === 0);
      expect(lbd.process.alive).toBe(true);
    });
  });
});
