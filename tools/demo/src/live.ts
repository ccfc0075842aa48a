import { writeFileSync } from 'node:fs';
import {
  type Actor,
  BalancerLab,
  CLIENT_SIDE,
  Daemon,
  type HttpResult,
  privileges,
  SERVER_SIDE,
  VIP,
  VIP_URL,
} from '@lbd/netlab';
import { configure, reportShares, reportState } from './report.ts';
import { green, heading, indented, line, red } from './screen.ts';

const SERVERS = 3;
/** Requests by a connection each, and over connections that are kept. */
const FRESH = { requests: 300, connections: 10, perConnection: 1 };
const KEPT = { requests: 300, connections: 30, perConnection: 10 };

const PICTURE = `
                                                              +-- server1 192.168.1.1:80
client 10.1.0.2 --- 10.1.0.1 ${CLIENT_SIDE} [lbd] ${SERVER_SIDE} 192.168.1.254 ---+-- server2 192.168.1.2:80
                                                              +-- server3 192.168.1.3:80`.slice(1);

export type LiveDriver = 'af_xdp' | 'af_packet';

/** The demonstration with real traffic. The lab is handed over as soon as it exists, for whoever has to take it down. */
export async function live(driver: LiveDriver, handOver: (lab: BalancerLab) => void): Promise<boolean> {
  const begun = performance.now();
  const lab = await BalancerLab.create('demo', { servers: SERVERS });
  handOver(lab);
  heading('The lab');
  indented(PICTURE);

  const servers = await lab.httpServers();
  // Packet sockets get copies. Where there is no nftables to hide lbd's packets from it, the kernel would forward them, too.
  if (driver === 'af_packet') await lab.host.sysctl('net.ipv4.ip_forward', 0);
  const lbd = await startDaemon(lab, driver);
  await configure(lbd, lab.serverAddresses);

  heading(`Traffic: the client's own HTTP to ${VIP_URL}`);
  const client = await lab.client.actor();
  const fresh = await drive(client, 'by a new connection each', FRESH);
  const kept = await drive(client, `over kept connections, up to ${KEPT.perConnection} each`, KEPT);

  const served = await Promise.all(servers.map((server) => server.call('httpServed')));
  await reportShares(lbd, shares([fresh, kept], lab.serverAddresses));
  await reportState(lbd);

  const ok = fresh.ok + kept.ok;
  const asked = FRESH.requests + KEPT.requests;
  const counted = served.reduce((sum, count) => sum + count, 0);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  const good = ok === asked && counted === asked;
  heading('Result');
  const verdict = `${ok} of ${asked} requests succeeded; the servers counted ${counted}. It took ${seconds} s.`;
  line(`  ${good ? green('✓') : red('✗')} ${verdict}`);
  for (const error of [...fresh.errors, ...kept.errors]) line(`  ${red(error)}`);
  if (!lbd.process.alive) line(red(`  lbd has ended:\n${lbd.process.output}`));
  return good;
}

/** Starts lbd with a configuration file as a person would write it, and shows that. */
async function startDaemon(lab: BalancerLab, driver: LiveDriver): Promise<Daemon> {
  const socket = `${lab.lab.folder}/lbd.sock`;
  const mode = driver === 'af_xdp' ? ', mode: native' : '';
  const config = [
    'interfaces:',
    ...[CLIENT_SIDE, SERVER_SIDE].map((name) => `  - { name: ${name}, driver: ${driver}${mode} }`),
    'memory: 256MiB',
    'control:',
    `  socket: ${socket}`,
  ].join('\n');
  heading('lbd.yaml');
  indented(config);
  return Daemon.start(lab.host, `${config}\n`, { folder: lab.lab.folder });
}

async function drive(client: Actor, how: string, load: typeof FRESH): Promise<HttpResult> {
  const result = await client.call('httpLoad', { url: VIP_URL, ...load });
  const rate = Math.round(result.ok / result.seconds);
  const count = `${String(result.ok).padStart(4)} of ${load.requests} requests answered`;
  line(`  ${result.failed === 0 ? green('✓') : red('✗')} ${count} ${how} (${rate} a second)`);
  return result;
}

function shares(results: readonly HttpResult[], addresses: readonly string[]) {
  return addresses.map((address, index) => {
    const name = `server${index + 1}`;
    const flows = results.flatMap((result) => result.flows).filter((flow) => flow.servers.includes(name));
    const requests = results.reduce((sum, result) => sum + (result.servers[name] ?? 0), 0);
    return { name, address, connections: flows.length, requests };
  });
}

/** What a person can do with the lab that is left up. */
export function printInvitation(lab: BalancerLab): void {
  const file = `${lab.lab.folder}/lbctl`;
  const daemon = lab.lab.folder;
  const lbctl = new URL('../../../packages/lbd/dist/bin/lbctl.js', import.meta.url).pathname;
  writeFileSync(file, `#!/bin/sh\nexec ${process.execPath} ${lbctl} --socket ${daemon}/lbd.sock "$@"\n`, {
    mode: 0o755,
  });
  heading('The lab stays up. To play with it:');
  const commands = [
    [`${file}`, 'lbd\'s command line; try "show runtime"'],
    [`${file} trace add 2`, 'then a request, then "show trace"'],
    [`${lab.client.enter.join(' ')} curl -s ${VIP_URL}`, 'a request of the client'],
    [`${lab.client.enter.join(' ')} bash`, 'a shell in the client; "ip route"'],
    // tcpdump insists on becoming another user, which nobody can in a user namespace.
    ...(privileges().kind === 'root'
      ? [[`${lab.host.enter.join(' ')} tcpdump -ni ${SERVER_SIDE}`, 'what goes to and comes from the servers']]
      : []),
    [`${lab.servers[0].enter.join(' ')} bash`, `a shell in server1, ${VIP.targetPort} is its port`],
    [`kill ${process.pid}`, 'the end of the lab'],
  ];
  for (const [command, what] of commands) line(`  ${command}\n      ${what}`);
}
