import { type Daemon, SERVER_SIDE, VIP, VIP_KEY } from '@lbd/netlab';
import { bar, heading, indented, line, percent, table } from './screen.ts';

/** The VIP of the demonstration, in lbd's own commands. */
export function commandsFor(servers: readonly string[]): string[] {
  return [
    `lb set interface nat4 in ${SERVER_SIDE}`,
    `lb vip ${VIP_KEY} encap nat4 type clusterip target_port ${VIP.targetPort}`,
    `lb as ${VIP_KEY} ${servers.join(' ')}`,
  ];
}

/** Gives lbd its commands, and shows them. */
export async function configure(lbd: Daemon, servers: readonly string[]): Promise<void> {
  heading('Configured with lbctl');
  for (const command of commandsFor(servers)) {
    await lbd.command(command);
    line(`  ${command}`);
  }
}

/** What one server got. */
export interface ServerShare {
  readonly name: string;
  readonly address: string;
  readonly connections: number;
  readonly requests: number;
}

interface Vip {
  readonly newLen: number;
  readonly servers: readonly { readonly address: string; readonly buckets: number }[];
}

/** Who got how much, beside what the new-flow table gives. */
export async function reportShares(lbd: Daemon, servers: readonly ServerShare[], what = 'requests'): Promise<void> {
  heading(`Who got the ${what}`);
  const [vip] = (await lbd.data('show lb vips verbose')) as Vip[];
  const slots = new Map(vip.servers.map(({ address, buckets }) => [address, buckets]));
  const connections = servers.reduce((sum, server) => sum + server.connections, 0);
  table(
    ['server', what, 'connections', 'share of them', 'share of the new-flow table', ''],
    servers.map((server) => [
      `${server.name} ${server.address}`,
      server.requests,
      server.connections,
      percent(server.connections, connections),
      percent(slots.get(server.address) ?? 0, vip.newLen),
      bar(server.connections, connections),
    ]),
  );
}

interface Summary {
  readonly conf: { readonly timeout: number };
  readonly sticky: readonly { readonly worker: number; readonly used: number; readonly capacity: number }[];
  readonly sessions: readonly { readonly name: string; readonly sessions: number; readonly capacity: number }[];
}

interface Interface {
  readonly name: string;
  readonly driver: string;
  readonly mode: string;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly rxDrops: number;
  readonly txDrops: number;
}

/** Tables, packets, and what lbd itself says. */
export async function reportState(lbd: Daemon): Promise<void> {
  heading('Flow tables');
  const { conf, sticky, sessions } = (await lbd.data('show lb')) as Summary;
  table(
    ['table', 'used', 'capacity', ''],
    [
      ...sticky.map(({ worker, used, capacity }) => [
        `sticky table of worker ${worker}`,
        used,
        capacity,
        `a flow is forgotten ${conf.timeout} s after its last packet`,
      ]),
      ...sessions.map(({ name, sessions: used, capacity }) => [
        `${name} sessions`,
        used,
        capacity,
        'of both directions',
      ]),
    ],
  );

  heading('Packets');
  const interfaces = (await lbd.data('show interface')) as Interface[];
  table(
    ['interface', 'driver', 'received', 'sent', 'dropped'],
    interfaces.map((i) => [i.name, `${i.driver} ${i.mode}`.trim(), i.rxPackets, i.txPackets, i.rxDrops + i.txDrops]),
  );
  line();
  indented(`show errors\n${await lbd.command('show errors')}`);

  heading('show lb vips verbose');
  indented(await lbd.command('show lb vips verbose'));
}
