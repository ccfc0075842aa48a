import type { End, Lab, Namespace } from '@lbd/netlab';

/** What all packets of the generator are for. */
export const VIP = '10.10.2.2';
export const VIP_PORT = 20000;
export const TARGET_PORT = 3307;
export const SERVERS = Array.from({ length: 16 }, (_, i) => `192.168.1.${i + 1}`);

const SINK_MAC = '02:00:00:00:00:99';

/** A device under test between the generator and the sink: `client` is its interface to the one, `server` to the other. */
export interface Site {
  readonly dut: Namespace;
  readonly client: End;
  readonly server: End;
  /** The generator's end. */
  readonly generator: End;
  /** The sink's end; what arrives here is counted and dropped. */
  readonly sink: End;
  /** Of each interface. */
  readonly queues: number;
  /** For files of the device. */
  readonly folder: string;
}

/**
 * Puts a namespace `name` between generator and sink. All servers are one interface of the sink, which answers nothing:
 * packets are dropped where they come in, before the kernel spends time on them, and so for all devices alike.
 */
export async function makeSite(
  lab: Lab,
  generator: Namespace,
  sink: Namespace,
  name: string,
  queues = 1,
): Promise<Site> {
  const dut = await lab.namespace(name);
  const [outside, client] = await lab.link(generator, dut, {
    a: { name: name },
    b: { name: 'client', addresses: ['10.10.1.1/24'] },
    queues,
  });
  const [server, inside] = await lab.link(dut, sink, {
    a: { name: 'server', addresses: ['192.168.1.254/24'] },
    b: { name: name, mac: SINK_MAC },
    queues,
  });
  await sink.exec('nft', ['-f', '-'], {
    input: `table netdev ${name} {
      chain drop_all {
        type filter hook ingress device "${name}" priority 0; policy drop;
      }
    }\n`,
  });
  await dut.ip(
    ...SERVERS.map((address) => `neigh add ${address} lladdr ${SINK_MAC} nud permanent dev server`),
    // Where the sources of the flows are; nothing goes there.
    'route add 10.128.0.0/9 via 10.10.1.2',
    `neigh add 10.10.1.2 lladdr ${outside.mac} nud permanent dev client`,
  );
  for (const scope of ['all', 'client']) await dut.sysctl(`net.ipv4.conf.${scope}.rp_filter`, 0);
  return { dut, client, server, generator: outside, sink: inside, queues, folder: lab.folder };
}
