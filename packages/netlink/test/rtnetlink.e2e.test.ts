import { Lab, labSuite, type Namespace, waitFor } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Agent } from './agent.ts';
import * as oracle from './oracle.ts';

labSuite(describe, 'namespaces', 'rtnetlink against ip(8)', () => {
  let lab: Lab;
  let ns: Namespace;
  let agent: Agent;

  beforeAll(async () => {
    lab = await Lab.create('netlink');
    ns = await lab.namespace('host');
    const other = await lab.namespace('other');
    await lab.link(ns, other, {
      a: { name: 'east', addresses: ['10.1.0.1/24', '2001:db8:1::1/64'], mac: '02:00:00:00:01:01' },
      b: { name: 'host', addresses: ['10.1.0.2/24', '2001:db8:1::2/64'], mac: '02:00:00:00:01:02' },
    });
    await lab.link(ns, other, {
      a: { name: 'west', addresses: ['10.2.0.1/24', '2001:db8:2::1/64'], mac: '02:00:00:00:02:01' },
      b: { name: 'host2', addresses: ['10.2.0.2/24', '2001:db8:2::2/64'], mac: '02:00:00:00:02:02' },
    });
    agent = await Agent.start(ns);
  });
  afterAll(() => lab?.destroy());

  /** What ip(8) says now, and what we list and mirror, once it agrees; the difference if it never does. */
  async function agree(): Promise<void> {
    for (const source of ['lists', 'mirror'] as const) {
      let last: unknown;
      await waitFor(`${source} to agree with ip(8)`, async () => {
        const { links, addresses, routes, neighbours } = await agent.call(source);
        const ours = [
          oracle.linkLines(links),
          oracle.addressLines(addresses),
          oracle.routeLines(routes),
          oracle.neighbourLines(neighbours),
        ];
        const theirs = [
          await oracle.ipLinks(ns),
          await oracle.ipAddresses(ns),
          await oracle.ipRoutes(ns, source === 'mirror'),
          await oracle.ipNeighbours(ns, source === 'mirror'),
        ];
        last = { ours, theirs };
        return JSON.stringify(ours) === JSON.stringify(theirs);
      }).catch(() => {
        const { ours, theirs } = last as { ours: unknown; theirs: unknown };
        expect(ours, source).toEqual(theirs);
      });
    }
  }

  /** Runs ip(8) commands one by one and compares after each. */
  const steps = async (...commands: string[]): Promise<void> => {
    for (const command of commands) {
      await ns.exec('ip', command.split(' '));
      await agree();
    }
  };

  it('lists what is there', async () => {
    await agree();
    const { links, routes } = await agent.call('lists');
    expect(links.map(({ name }) => name)).toEqual(['lo', 'east', 'west']);
    expect(routes.length).toBeGreaterThan(10);
  });

  it('follows IPv4 routes', async () => {
    await steps(
      'route add 10.9.0.0/16 via 10.1.0.2 metric 5',
      'route add 10.9.0.0/16 via 10.2.0.2 metric 6 src 10.1.0.1',
      'route replace 10.9.0.0/16 via 10.2.0.9 metric 5',
      'route replace 10.9.0.0/16 via 10.2.0.9 metric 5 mtu 1400',
      'route add 10.10.0.0/16 nexthop via 10.1.0.2 weight 3 nexthop via 10.2.0.2 weight 256',
      'route replace 10.10.0.0/16 nexthop via 10.2.0.2 weight 2 nexthop via 10.1.0.3',
      'route add default via 10.1.0.2 dev east onlink',
      'route add blackhole 10.11.0.0/16',
      'route add unreachable 10.12.0.0/16 metric 7',
      'route add prohibit 10.13.0.1/32',
      'route add 10.14.0.0/16 via inet6 2001:db8:1::2 dev east',
      'route add local 10.15.0.0/16 dev lo table local',
      'route add 10.16.0.0/16 dev east scope link table 100',
      'route append 10.10.0.0/16 via 10.1.0.7',
      'route del 10.10.0.0/16 via 10.1.0.7',
      'route del 10.10.0.0/16',
      'route del 10.9.0.0/16 metric 5',
      'route del blackhole 10.11.0.0/16',
    );
  });

  it('follows IPv6 routes, way by way', async () => {
    await steps(
      '-6 route add 2001:db8:9::/48 via 2001:db8:1::2',
      '-6 route add 2001:db8:10::/48 via 2001:db8:1::2 mtu 1400 advmss 1300',
      '-6 route append 2001:db8:9::/48 via 2001:db8:2::2',
      '-6 route append 2001:db8:9::/48 via 2001:db8:2::3',
      '-6 route del 2001:db8:9::/48 via 2001:db8:1::2',
      '-6 route replace 2001:db8:9::/48 nexthop via 2001:db8:1::2 weight 4 nexthop via 2001:db8:1::3',
      '-6 route replace 2001:db8:9::/48 via 2001:db8:1::4',
      '-6 route add unreachable 2001:db8:a::/48',
      '-6 route add default via fe80::1 dev west metric 10',
      '-6 route del 2001:db8:9::/48',
    );
  });

  it('follows IPv6 routes that replace others by another link, or by a gateway', async () => {
    await steps(
      '-6 route add 2001:db8:b::/48 dev east',
      '-6 route replace 2001:db8:b::/48 dev west',
      '-6 route replace 2001:db8:b::/48 via 2001:db8:1::2',
      '-6 route replace 2001:db8:b::/48 dev east',
      '-6 route append 2001:db8:b::/48 dev west',
      '-6 route replace 2001:db8:b::/48 dev west',
      '-6 route flush 2001:db8:b::/48',
      '-6 route add 2001:db8:c::/48 via 2001:db8:1::2',
      '-6 route replace blackhole 2001:db8:c::/48',
      '-6 route replace 2001:db8:c::/48 via 2001:db8:2::2',
      '-6 route flush 2001:db8:c::/48',
    );
  });

  it('follows ways that come back with an address of their interface', async () => {
    await steps(
      'route add 10.50.0.0/16 nexthop via 10.1.0.2 nexthop via 10.2.0.2',
      'address del 10.2.0.1/24 dev west',
      'address add 10.2.0.1/24 dev west',
      'route del 10.50.0.0/16',
    );
  });

  it('has the route that the kernel uses where the first one has no carrier', async () => {
    await ns.sysctl('net.ipv4.conf.all.ignore_routes_with_linkdown', 1);
    await ns.ip(
      'link add n0 type veth peer name n1',
      'link set n0 up',
      'link set n1 up',
      'address add 10.51.0.1/24 dev n0',
      'address add 10.51.0.2/24 dev east',
    );
    const uses = async (name: string) => {
      await waitFor(`the route over ${name}`, async () => {
        const { links, routes } = await agent.call('mirror');
        const [way] = routes.find(({ destination }) => destination === '10.51.0.0/24')?.nexthops ?? [];
        return way && !way.skipped && links.find(({ ifindex }) => ifindex === way.ifindex)?.name === name;
      });
      expect((await ns.ipJson('route', 'get', '10.51.0.9'))[0]).toMatchObject({ dev: name });
    };
    await uses('n0');
    await ns.ip('link set n1 down');
    await uses('east');
    await ns.ip('link set n1 up');
    await uses('n0');
    await ns.ip('link del n0', 'address del 10.51.0.2/24 dev east');
    await ns.sysctl('net.ipv4.conf.all.ignore_routes_with_linkdown', 0);
  });

  it('follows nexthop objects', async () => {
    await steps(
      'nexthop add id 1 via 10.1.0.2 dev east',
      'nexthop add id 2 via 10.2.0.2 dev west',
      'nexthop add id 3 blackhole',
      'nexthop add id 10 group 1,5/2',
      'route add 10.20.0.0/16 nhid 10',
      'route add 10.21.0.0/16 nhid 1',
      'nexthop replace id 1 via 10.1.0.3 dev east',
      'nexthop replace id 10 group 2',
    );
    await ns.sysctl('net.ipv4.nexthop_compat_mode', 0);
    await ns.ip('route add 10.22.0.0/16 nhid 10', 'route add 10.23.0.0/16 nhid 3');
    const found = await waitFor('the routes', async () => {
      const { routes } = await agent.call('mirror');
      const all = routes.filter(({ destination }) => ['10.22.0.0/16', '10.23.0.0/16'].includes(destination));
      return all.length === 2 && all.sort((a, b) => (a.destination < b.destination ? -1 : 1));
    });
    expect(found).toMatchObject([
      { type: 'unicast', nexthops: [{ gateway: '10.2.0.2', weight: 1 }] },
      { type: 'blackhole', nexthops: [] },
    ]);
    await ns.sysctl('net.ipv4.nexthop_compat_mode', 1);
    await steps('nexthop del id 10', 'nexthop flush');
  });

  it('follows addresses and links, and the routes that go with them silently', async () => {
    await steps(
      'address add 10.3.0.1/24 dev west',
      'address add 192.0.2.1 peer 192.0.2.2/32 dev west',
      'route add 10.30.0.0/16 via 10.3.0.9',
      'route add 10.31.0.0/16 via 10.1.0.2 src 10.3.0.1',
      'address del 10.3.0.1/24 dev west',
      'link set west mtu 1400',
      'link set west address 02:00:00:00:0f:0f',
      'link set west down',
      'link set west up',
      'link add v0 type veth peer name v1',
      // Without IPv6 on it nothing but the link's own message tells that IPv4 routes are gone.
      'link set v0 addrgenmode none',
      'link set v0 up',
      'link set v1 up',
      'address add 10.40.0.1/24 dev v0',
      'route add 10.41.0.0/16 via 10.40.0.2',
      'link set v1 down',
      'link set v1 up',
      'link set v0 down',
      'link set v0 up',
      'route add 10.42.0.0/16 via 10.40.0.2',
      'link set v0 name v9',
      'link del v9',
    );
  });

  it('follows neighbours', async () => {
    await steps(
      'neighbour add 10.1.0.77 lladdr 02:00:00:00:77:77 dev east nud permanent',
      'neighbour replace 10.1.0.77 lladdr 02:00:00:00:77:78 dev east nud stale',
      '-6 neighbour add 2001:db8:1::77 lladdr 02:00:00:00:77:79 dev east nud noarp',
      'neighbour del 10.1.0.77 dev east',
      'neighbour flush dev east nud all',
    );
  });

  it('has the kernel resolve neighbours of both families', async () => {
    const { links } = await agent.call('lists');
    const { ifindex } = links.find(({ name }) => name === 'east')!;
    for (const address of ['10.1.0.2', '2001:db8:1::2']) {
      await ns.ip(`neighbour flush to ${address} dev east nud all`);
      await agent.call('changes');
      await agent.call('resolve', ifindex, address);
      await waitFor(`${address} to be reachable`, async () => {
        const changes = await agent.call('changes');
        return changes.some(({ kind, before, now }) => {
          if (kind !== 'neighbour' || now?.address !== address) return false;
          expect(before?.mac ?? '').toBe('');
          return now.state === 'reachable' && now.mac === '02:00:00:00:01:02';
        });
      });
    }
    await expect(agent.call('resolve', 9999, '10.1.0.2')).rejects.toMatchObject({
      code: 'LBD_NETLINK_REFUSED',
      errno: 'ENODEV',
      message: expect.stringContaining('resolve 10.1.0.2 on interface 9999: the kernel says ENODEV'),
    });
  });

  it('finds its way back when changes were lost', async () => {
    const batch = (verb: string) =>
      Array.from(
        { length: 12_000 },
        (_, i) => `route ${verb} 172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32 via 10.1.0.2`,
      );
    const asleep = agent.call('sleep', 4000);
    await ns.exec('ip', ['-batch', '-'], {
      input: `${[...batch('add'), ...batch('del'), ...batch('add').slice(7)].join('\n')}\n`,
    });
    await asleep;
    const { routes } = await waitFor('the routes', async () => {
      const state = await agent.call('mirror');
      return state.routes.filter(({ destination }) => destination.startsWith('172.')).length === 11_993 && state;
    });
    expect(await agent.call('overruns')).toBeGreaterThan(0);
    expect(routes.some(({ destination }) => destination === '172.16.0.6/32')).toBe(false);
    expect(routes.some(({ destination }) => destination === '172.16.0.7/32')).toBe(true);
  });
});
