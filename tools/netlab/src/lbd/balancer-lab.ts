import type { Actor } from '../actor.ts';
import { Lab, type Switch } from '../lab.ts';
import type { End } from '../link.ts';
import type { Namespace } from '../namespace.ts';
import { Daemon, type DaemonConfig } from './daemon.ts';

/** The VIP of the labs, and how lbd's commands name it. */
export const VIP = { address: '10.10.2.2', port: 8080, targetPort: 80 } as const;
export const VIP_KEY = `${VIP.address}/32 protocol tcp port ${VIP.port}`;
export const VIP_URL = `http://${VIP.address}:${VIP.port}/`;

/** lbd's interfaces in the labs: towards the clients, and towards the servers. */
export const CLIENT_SIDE = 'wan0';
export const SERVER_SIDE = 'lan0';

export interface BalancerLabOptions {
  /** Number of servers, at most 200; 3 unless told. */
  readonly servers?: number;
  /** Queues of lbd's interfaces; 1 unless told. */
  readonly queues?: number;
  /** IPv6 beside IPv4; not unless told. */
  readonly ip6?: boolean;
  /**
   * A router between the client and lbd, and one between lbd and the servers, which send no larger packets (bytes) on to
   * the client and to the servers than told. All links have an MTU of 1500, so nobody but the routers knows. No routers
   * unless told.
   */
  readonly routers?: { readonly clientMtu: number; readonly serverMtu: number };
}

/**
 * A client, a host for lbd, and servers:
 *
 *     client 10.1.0.2 --- 10.1.0.1 wan0 [lbd] lan0 192.168.1.254 --- switch --- 192.168.1.1, .2, .3 ...
 *
 * With IPv6, the addresses are 2001:db8:1::2 and ::1, 2001:db8:2::fe, and 2001:db8:2::1, ::2, ::3; VIPs are in
 * 2001:db8:10::/48.
 *
 * With routers, the client is 10.2.0.2 (2001:db8:3::2) and the servers are 192.168.2.1, ... (2001:db8:4::1, ...).
 *
 * The client reaches 10.10.0.0/16, where VIPs are, and 192.168.1.0/24 through the lbd host; the servers' default route
 * leads to it, and it forwards by its kernel whatever is not lbd's.
 */
export class BalancerLab {
  readonly lab: Lab;
  readonly client: Namespace;
  readonly host: Namespace;
  readonly servers: readonly Namespace[];
  /** Addresses of the servers, and their IPv6 addresses (if there are). */
  readonly serverAddresses: readonly string[];
  readonly serverAddresses6: readonly string[];
  readonly network: Switch;
  /** The client's end of its link, and lbd's two ends. */
  readonly ends: { readonly client: End; readonly wan: End; readonly lan: End; readonly servers: readonly End[] };

  private constructor(
    fields: Pick<BalancerLab, 'lab' | 'client' | 'host' | 'servers' | 'network' | 'ends'>,
    routed: boolean,
  ) {
    ({ lab: this.lab, client: this.client, host: this.host } = fields);
    ({ servers: this.servers, network: this.network, ends: this.ends } = fields);
    const [net, net6] = routed ? ['192.168.2', '2001:db8:4'] : ['192.168.1', '2001:db8:2'];
    this.serverAddresses = this.servers.map((_, index) => `${net}.${index + 1}`);
    this.serverAddresses6 = this.servers.map((_, index) => `${net6}::${(index + 1).toString(16)}`);
  }

  static async create(name: string, options: BalancerLabOptions = {}): Promise<BalancerLab> {
    const { servers: count = 3, queues = 1, ip6 = false, routers } = options;
    // Known at once: nobody else has them (no duplicate address detection).
    const both = (address4: string, address6: string) => [address4, ...(ip6 ? [`${address6}/64 nodad`] : [])];
    const lab = await Lab.create(name);
    try {
      const client = await lab.namespace('client');
      const host = await lab.namespace('lbd');
      const network = await lab.switch('switch');
      const edge = routers && (await router(lab, 'edge', ip6));
      const core = routers && (await router(lab, 'core', ip6));
      const [clientEnd, wan] = await lab.link(edge ?? client, host, {
        a: { name: edge ? 'eth1' : 'eth0', addresses: both('10.1.0.2/24', '2001:db8:1::2') },
        b: { name: CLIENT_SIDE, addresses: both('10.1.0.1/24', '2001:db8:1::1') },
        queues,
      });
      const lan = core
        ? (
            await lab.link(host, core, {
              a: { name: SERVER_SIDE, addresses: both('192.168.1.254/24', '2001:db8:2::fe') },
              b: { name: 'eth0', addresses: both('192.168.1.253/24', '2001:db8:2::fd') },
              queues,
            })
          )[0]
        : await network.attach(host, {
            a: { name: SERVER_SIDE, addresses: both('192.168.1.254/24', '2001:db8:2::fe') },
            queues,
          });
      await host.sysctl('net.ipv4.ip_forward', 1);
      if (ip6) await host.sysctl('net.ipv6.conf.all.forwarding', 1);
      const [net, net6] = core ? ['192.168.2', '2001:db8:4'] : ['192.168.1', '2001:db8:2'];
      if (edge && core) {
        await lab.link(client, edge, {
          a: { name: 'eth0', addresses: both('10.2.0.2/24', '2001:db8:3::2') },
          b: { name: 'eth0', addresses: both('10.2.0.1/24', '2001:db8:3::1') },
        });
        await network.attach(core, { a: { name: 'eth1', addresses: both('192.168.2.254/24', '2001:db8:4::fe') } });
        const narrow = (net: string, device: string, mtu: number) =>
          // The metric of the route that the kernel has made for the address: another would be a second route.
          `route replace ${net} dev ${device} ${net.includes(':') ? 'metric 256' : ''} mtu lock ${mtu}`;
        await edge.ip(narrow('10.2.0.0/24', 'eth0', routers.clientMtu));
        await core.ip(narrow('192.168.2.0/24', 'eth1', routers.serverMtu));
        if (ip6) {
          await edge.ip(narrow('2001:db8:3::/64', 'eth0', routers.clientMtu));
          await core.ip(narrow('2001:db8:4::/64', 'eth1', routers.serverMtu));
        }
        await edge.ip(...routes(ip6, ['default via 10.1.0.1'], ['default via 2001:db8:1::1']));
        await core.ip(...routes(ip6, ['default via 192.168.1.254'], ['default via 2001:db8:2::fe']));
        await host.ip(
          ...routes(
            ip6,
            ['10.2.0.0/24 via 10.1.0.2', '192.168.2.0/24 via 192.168.1.253'],
            ['2001:db8:3::/64 via 2001:db8:1::2', '2001:db8:4::/64 via 2001:db8:2::fd'],
          ),
        );
      }
      const [gateway, gateway6] = edge ? ['10.2.0.1', '2001:db8:3::1'] : ['10.1.0.1', '2001:db8:1::1'];
      await client.ip(
        ...routes(
          ip6,
          [
            `10.10.0.0/16 via ${gateway}`,
            `192.168.0.0/16 via ${gateway}`,
            ...(edge ? [`10.1.0.0/24 via ${gateway}`] : []),
          ],
          [`2001:db8::/32 via ${gateway6}`],
        ),
      );
      const servers: Namespace[] = [];
      const ends: End[] = [];
      for (let n = 1; n <= count; n++) {
        const server = await lab.namespace(`server${n}`);
        const addresses = both(`${net}.${n}/24`, `${net6}::${n.toString(16)}`);
        ends.push(await network.attach(server, { a: { name: 'eth0', addresses } }));
        await server.ip(...routes(ip6, [`default via ${net}.254`], [`default via ${net6}::fe`]));
        servers.push(server);
      }
      return new BalancerLab(
        { lab, client, host, servers, network, ends: { client: clientEnd, wan, lan, servers: ends } },
        routers !== undefined,
      );
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  /** Starts an actor in each server, named `server1`, ... */
  serverActors(): Promise<Actor[]> {
    return Promise.all(this.servers.map((server) => server.actor()));
  }

  /** Starts HTTP servers on the target port of all servers. */
  async httpServers(port: number = VIP.targetPort): Promise<Actor[]> {
    const actors = await this.serverActors();
    await Promise.all(actors.map((actor) => actor.call('httpServer', { port })));
    return actors;
  }

  /** The configuration for this lab: both interfaces, NAT4 on the servers' side, no VIP yet. */
  config(interfaceOptions: Record<string, unknown> = { driver: 'af_xdp' }): DaemonConfig {
    return {
      interfaces: [CLIENT_SIDE, SERVER_SIDE].map((name) => ({ name, ...interfaceOptions })),
      nat: { nat4: [SERVER_SIDE] },
    };
  }

  /** The commands that make the VIP with all servers. */
  get vipCommands(): string[] {
    return [
      `lb vip ${VIP_KEY} encap nat4 type clusterip target_port ${VIP.targetPort}`,
      `lb as ${VIP_KEY} ${this.serverAddresses.join(' ')}`,
    ];
  }

  /** Starts lbd on the host. */
  start(config: DaemonConfig | string, name = 'lbd'): Promise<Daemon> {
    return Daemon.start(this.host, config, { folder: this.lab.folder, name });
  }

  /** As `start`, without waiting until it answers. */
  launch(config: DaemonConfig | string, options: { name?: string; under?: readonly string[] } = {}): Daemon {
    return Daemon.launch(this.host, config, { folder: this.lab.folder, ...options });
  }

  /** Ids of the XDP programs on the host's interfaces, as ip(8) shows them. */
  async xdpPrograms(): Promise<number[]> {
    const links = await this.host.ipJson('-details', 'link', 'show');
    return links.flatMap((link) => {
      const { xdp } = link as { xdp?: { prog?: { id: number } } };
      return xdp?.prog ? [xdp.prog.id] : [];
    });
  }

  destroy(): Promise<void> {
    return this.lab.destroy();
  }
}

async function router(lab: Lab, name: string, ip6: boolean): Promise<Namespace> {
  const namespace = await lab.namespace(name);
  await namespace.sysctl('net.ipv4.ip_forward', 1);
  if (ip6) await namespace.sysctl('net.ipv6.conf.all.forwarding', 1);
  return namespace;
}

/** Commands that add routes. */
function routes(ip6: boolean, ip4Routes: readonly string[], ip6Routes: readonly string[]): string[] {
  return [...ip4Routes, ...(ip6 ? ip6Routes : [])].map((route) => `route add ${route}`);
}
