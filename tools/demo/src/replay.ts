import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PcapReader, PcapWriter } from '@lbd/io-pcap';
import { CLIENT_SIDE, Daemon, type Place, Running, SERVER_SIDE, VIP, waitFor } from '@lbd/netlab';
import { dissect, ethernet, type Ip4, ip4, packet, type Tcp, tcp } from '@lbd/packet';
import { reportShares, reportState } from './report.ts';
import { green, heading, line, red } from './screen.ts';

const SERVERS = ['192.168.1.1', '192.168.1.2', '192.168.1.3'];
const FLOWS = 300;
const PACKETS_OF_A_FLOW = 4;
const MAC = { wan: '02:00:00:00:00:01', client: '02:00:00:00:00:02', lan: '02:00:00:00:01:00' };
const serverMac = (index: number) => `02:00:00:00:01:0${index + 1}`;

/** The demonstration without any privilege: a capture goes in, captures come out. */
export async function replay(): Promise<boolean> {
  const begun = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'lbd-demo-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const [requests, replies] = [join(folder, 'requests.pcap'), join(folder, 'replies.pcap')];
  const [toServers, toClients] = [join(folder, 'to-servers.pcap'), join(folder, 'to-clients.pcap')];

  heading('The captures');
  line(`  ${writeRequests(requests)} packets of ${FLOWS} TCP connections to ${VIP.address}:${VIP.port} go in`);
  const forth = await run(folder, 'forth', { in: requests }, { out: toServers }, FLOWS * PACKETS_OF_A_FLOW);
  const flows = readFlows(toServers);
  await reportShares(
    forth,
    SERVERS.map((address, index) => ({
      name: `server${index + 1}`,
      address,
      connections: flows.filter(({ servers }) => servers.has(address)).length,
      requests: flows.filter(({ servers }) => servers.has(address)).reduce((sum, flow) => sum + flow.packets, 0),
    })),
    'packets',
  );
  await reportState(forth);
  await forth.stop();

  const back = await run(folder, 'back', { out: toClients }, { in: writeReplies(replies, flows) }, flows.length);
  await back.stop();
  const answers = readAnswers(toClients);

  const steady = flows.filter(({ servers }) => servers.size === 1).length;
  const good = flows.length === FLOWS && steady === FLOWS && answers === FLOWS;
  heading('Result');
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  const verdict = `${steady} of ${FLOWS} connections were with one server from first packet to last; ${answers} replies came from the VIP. It took ${seconds} s.`;
  line(`  ${good ? green('✓') : red('✗')} ${verdict}`);
  return good;
}

/** This machine itself. What is started here ends with us. */
const here: Place = {
  spawn(command, args, options) {
    const child = spawn(command, args, options);
    process.once('exit', () => child.kill('SIGKILL'));
    return new Running(child, command);
  },
};

interface Files {
  readonly in?: string;
  readonly out?: string;
}

/** Runs lbd over capture files until it has seen all packets; it goes on running, to be asked. */
async function run(folder: string, name: string, wan: Files, lan: Files, packets: number): Promise<Daemon> {
  const config = {
    interfaces: [
      { name: CLIENT_SIDE, driver: 'pcap', ...wan },
      { name: SERVER_SIDE, driver: 'pcap', ...lan },
    ],
    static: {
      interfaces: [
        { name: CLIENT_SIDE, mac: MAC.wan, addresses: ['10.1.0.1/24'] },
        { name: SERVER_SIDE, mac: MAC.lan, addresses: ['192.168.1.254/24'] },
      ],
      neighbours: [
        { address: '10.1.0.2', interface: CLIENT_SIDE, mac: MAC.client },
        ...SERVERS.map((address, index) => ({ address, interface: SERVER_SIDE, mac: serverMac(index) })),
      ],
    },
    vips: [
      {
        prefix: `${VIP.address}/32`,
        protocol: 'tcp',
        port: VIP.port,
        encap: 'nat4',
        target_port: VIP.targetPort,
        as: SERVERS.map((address) => ({ address })),
      },
    ],
    nat: { nat4: [SERVER_SIDE] },
  };
  const lbd = await Daemon.start(here, config, { folder, name });
  const received = async () => {
    const interfaces = (await lbd.data('show interface')) as { rxPackets: number }[];
    return interfaces.reduce((sum, { rxPackets }) => sum + rxPackets, 0) === packets;
  };
  await waitFor('lbd to read the whole capture', received);
  return lbd;
}

/** The clients' capture: each connection's packets, the connections interleaved. Returns the number of packets. */
function writeRequests(path: string): number {
  const writer = PcapWriter.create(path);
  for (let sequence = 0; sequence < PACKETS_OF_A_FLOW; sequence++) {
    for (let flow = 0; flow < FLOWS; flow++) {
      const flags = sequence === 0 ? 'S' : 'PA';
      writer.write(
        BigInt(sequence * FLOWS + flow) * 1000n,
        packet(
          ethernet({ dst: MAC.wan, src: MAC.client }),
          ip4({ src: '10.1.0.2', dst: VIP.address }),
          tcp({ sport: 20_000 + flow, dport: VIP.port, seq: sequence * 100, flags }),
          sequence === 0 ? '' : `request ${sequence} of connection ${flow}`,
        ),
      );
    }
  }
  writer.close();
  return FLOWS * PACKETS_OF_A_FLOW;
}

interface Flow {
  readonly port: number;
  readonly servers: Set<string>;
  packets: number;
}

/** What lbd sent to the servers, by the client's port; packets with anything wrong are not counted. */
function readFlows(path: string): Flow[] {
  const flows = new Map<number, Flow>();
  for (const { ip, segment, good } of read(path)) {
    if (!good || segment.dport !== VIP.targetPort) continue;
    const flow = flows.get(segment.sport) ?? { port: segment.sport, servers: new Set<string>(), packets: 0 };
    flows.set(segment.sport, flow);
    flow.servers.add(ip.dst);
    flow.packets++;
  }
  return [...flows.values()];
}

/** The servers' capture: a reply for each connection, from the server that it was given to. */
function writeReplies(path: string, flows: readonly Flow[]): string {
  const writer = PcapWriter.create(path);
  for (const { port, servers } of flows) {
    const [server] = servers;
    writer.write(
      BigInt(port) * 1000n,
      packet(
        ethernet({ dst: MAC.lan, src: serverMac(SERVERS.indexOf(server)) }),
        ip4({ src: server, dst: '10.1.0.2' }),
        tcp({ sport: VIP.targetPort, dport: port, flags: 'A' }),
        'reply',
      ),
    );
  }
  writer.close();
  return path;
}

/** Number of good packets to the client that come from the VIP. */
function readAnswers(path: string): number {
  return [...read(path)].filter(({ ip, segment, good }) => good && ip.src === VIP.address && segment.sport === VIP.port)
    .length;
}

function* read(path: string): Generator<{ ip: Ip4; segment: Tcp; good: boolean }> {
  for (const { bytes } of PcapReader.open(path)) {
    const layers = dissect(bytes);
    const find = (protocol: object) => layers.find((layer) => layer.protocol === protocol);
    const [ip, segment] = [find(ip4), find(tcp)];
    if (!ip || !segment) continue;
    const good = layers.every(({ checksum }) => checksum !== 'bad');
    yield { ip: ip.fields as Ip4, segment: segment.fields as Tcp, good };
  }
}
