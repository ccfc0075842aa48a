import { Daemon, type DaemonConfig, type Running } from '@lbd/netlab';
import { compile } from '../compile.ts';
import { SERVERS, type Site, TARGET_PORT, VIP, VIP_PORT } from './topology.ts';

/** Core of the generator, and of the device under test. */
export const GENERATOR_CORE = 0;
export const DEVICE_CORE = 1;

/** Something that forwards the generator's packets to the sink. */
export interface Device {
  /** Also the name of its namespace and of interfaces: 15 characters at most. */
  readonly name: string;
  readonly title: string;
  /** Once, before all turns. */
  setUp?(site: Site): Promise<void>;
  /** Starts the process that forwards, if it is not the kernel; resolves when it is ready. */
  start?(site: Site, flows: number): Promise<Running>;
}

/** Runs a program on the device's core. */
export function onCore({ dut }: Site, command: string, args: readonly string[]): Running {
  return dut.spawn('taskset', ['-c', String(DEVICE_CORE), command, ...args]);
}

/**
 * The kernel would do all its forwarding on the generator's core, in the sender's own system call. With receive packet
 * steering it has the other core for it, as the processes have.
 */
async function steer({ dut }: Site): Promise<void> {
  const mask = (1 << DEVICE_CORE).toString(16);
  await dut.exec('sh', ['-c', `echo ${mask} > /sys/class/net/client/queues/rx-0/rps_cpus`]);
}

async function forward(site: Site): Promise<void> {
  await site.dut.sysctl('net.ipv4.ip_forward', 1);
}

/** Plain forwarding to one server: no choice, no NAT, no connection tracking. */
async function routeVip({ dut }: Site): Promise<void> {
  await dut.ip(`route add ${VIP}/32 via ${SERVERS[0]}`);
}

const DNAT_RULES = `
table ip lb {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr ${VIP} udp dport ${VIP_PORT} dnat ip to jhash ip saddr . udp sport mod ${SERVERS.length} map {
      ${SERVERS.map((address, i) => `${i} : ${address} . ${TARGET_PORT}`).join(', ')}
    }
  }
}
`;

async function dnat({ dut }: Site): Promise<void> {
  await dut.exec('nft', ['-f', '-'], { input: DNAT_RULES });
}

export const kernelForwarding: Device = {
  name: 'kernel',
  title: 'kernel forwarding',
  async setUp(site) {
    await forward(site);
    await routeVip(site);
    await steer(site);
  },
};

const kernelInPlace: Device = {
  name: 'kernel-two',
  title: 'kernel forwarding',
  async setUp(site) {
    await forward(site);
    await routeVip(site);
  },
};

export const nftablesDnat: Device = {
  name: 'nftables',
  title: 'nftables DNAT',
  async setUp(site) {
    await forward(site);
    await dnat(site);
    await steer(site);
  },
};

/** The same on the generator's core: no packet changes cores, but generator and kernel share one. */
function nftablesWithSender(name: string, title: string): Device {
  return {
    name,
    title,
    async setUp(site) {
      await forward(site);
      await dnat(site);
    },
  };
}
const nftablesOneCore = nftablesWithSender('nftables-one', 'nftables DNAT, one core');
const nftablesInPlace = nftablesWithSender('nftables-two', 'nftables DNAT');

export const xdpForward: Device = {
  name: 'xdp-c',
  title: 'AF_XDP in C, MAC swap',
  async start(site) {
    const running = onCore(site, await compile('xdp-forward'), [site.client.name, site.server.name]);
    await running.waitForOutput(/ready/);
    return running;
  },
};

export function lbdConfig({ client, server }: Site, flows: number): DaemonConfig {
  const vip = `${VIP}/32 protocol udp port ${VIP_PORT}`;
  return {
    memory: '1GiB',
    interfaces: [client, server].map(({ name }) => ({ name, driver: 'af_xdp', mode: 'native' })),
    nat: { nat4: [server.name] },
    commands: [
      `lb conf buckets ${Math.max(1024, flows)}`,
      `lb vip ${vip} encap nat4 type clusterip target_port ${TARGET_PORT}`,
      `lb as ${vip} ${SERVERS.join(' ')}`,
    ],
  };
}

function lbdOn(cores: readonly number[], name: string, title: string, workers = 1): Device {
  return {
    name,
    title,
    async start(site, flows) {
      const { dut, folder } = site;
      const under = ['taskset', '-c', cores.join(',')];
      const daemon = await Daemon.start(dut, { ...lbdConfig(site, flows), workers }, { folder, under });
      return daemon.process;
    },
  };
}

export const lbd = lbdOn([DEVICE_CORE], 'lbd', 'lbd, AF_XDP');
const lbdOneWorker = lbdOn([GENERATOR_CORE, DEVICE_CORE], 'lbd-one', 'lbd, one worker');
const lbdTwoWorkers = lbdOn([GENERATOR_CORE, DEVICE_CORE], 'lbd-two', 'lbd, two workers', 2);

/** Devices that get the same traffic in turn, on interfaces with so many queues. */
export interface Comparison {
  readonly name: 'veth' | 'veth2';
  readonly queues: number;
  readonly devices: readonly Device[];
  /** What the others are measured by. */
  readonly base: Device;
  /** Who is where. */
  readonly cores: string;
}

export const ONE_QUEUE: Comparison = {
  name: 'veth',
  queues: 1,
  devices: [lbd, xdpForward, kernelForwarding, nftablesDnat, nftablesOneCore],
  base: nftablesDnat,
  cores: `generator on core ${GENERATOR_CORE}, device on core ${DEVICE_CORE}`,
};

/** The kernel forwards in the sender's system call, so on both cores, too. */
export const TWO_QUEUES: Comparison = {
  name: 'veth2',
  queues: 2,
  devices: [lbdTwoWorkers, lbdOneWorker, kernelInPlace, nftablesInPlace],
  base: nftablesInPlace,
  cores: `a generator for each queue, on cores ${GENERATOR_CORE} and ${DEVICE_CORE}; the device on both`,
};
