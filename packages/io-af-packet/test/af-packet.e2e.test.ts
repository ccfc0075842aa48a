import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Lab, labSuite, type Namespace, type Running, waitFor } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const FORWARDER = fileURLToPath(new URL('forwarder.mjs', import.meta.url));
const ALONE = fileURLToPath(new URL('alone.mjs', import.meta.url));
const MACS = { client: '02:00:00:00:00:0c', server: '02:00:00:00:00:05' };

/** Sends back the SHA-256 of what it gets, and then as many bytes of its own with their hash in front. */
const SERVER = `
import { createServer } from 'node:net';
import { createHash, randomBytes } from 'node:crypto';
createServer({ allowHalfOpen: true }, (socket) => {
  const hash = createHash('sha256');
  let n = 0;
  socket.on('data', (chunk) => { hash.update(chunk); n += chunk.length; });
  socket.on('end', () => {
    const back = randomBytes(n);
    socket.write(hash.digest());
    socket.write(createHash('sha256').update(back).digest());
    socket.end(back);
  });
}).listen(8080, '::', () => console.log('listening'));`;

const CLIENT = `
import { connect } from 'node:net';
import { createHash, randomBytes } from 'node:crypto';
const [host, bytes] = JSON.parse(process.env.TRANSFER);
const data = randomBytes(bytes);
const socket = connect(8080, host);
socket.end(data);
const chunks = [];
for await (const chunk of socket) chunks.push(chunk);
const back = Buffer.concat(chunks);
const hash = (b) => createHash('sha256').update(b).digest('hex');
console.log(JSON.stringify({
  sent: back.subarray(0, 32).toString('hex') === hash(data),
  received: back.subarray(32, 64).toString('hex') === hash(back.subarray(64)) && back.length === bytes + 64,
}));`;

interface Result {
  counters: { rxPackets: number; txPackets: number; rxDrops: number; txDrops: number }[];
  drops: unknown[];
  longest: number;
  perWorker: number[][];
}

labSuite(describe, 'namespaces', 'the af_packet driver between two kernels', () => {
  let lab: Lab;
  let client: Namespace;
  let middle: Namespace;
  let server: Namespace;
  let forwarder: Running | undefined;

  beforeAll(async () => {
    lab = await Lab.create('afpacket');
    client = await lab.namespace('client');
    middle = await lab.namespace('middle');
    server = await lab.namespace('server');
    await lab.link(client, middle, {
      a: { name: 'eth0', addresses: ['10.0.1.2/24', '2001:db8:1::2/64'], mac: MACS.client },
      b: { name: 'left', addresses: ['10.0.1.1/24', '2001:db8:1::1/64'] },
    });
    await lab.link(server, middle, {
      a: { name: 'eth0', addresses: ['10.0.2.2/24', '2001:db8:2::2/64'], mac: MACS.server },
      b: { name: 'right', addresses: ['10.0.2.1/24', '2001:db8:2::1/64'] },
    });
    for (const [ns, i] of [
      [client, 1],
      [server, 2],
    ] as const) {
      await ns.exec('ip', ['route', 'add', 'default', 'via', `10.0.${i}.1`]);
      await ns.exec('ip', ['-6', 'route', 'add', 'default', 'via', `2001:db8:${i}::1`]);
    }
    // The kernel in the middle would forward as well, if it saw the packets.
    await middle.sysctl('net.ipv4.ip_forward', 1);
    await middle.sysctl('net.ipv6.conf.all.forwarding', 1);
    const listening = server.spawn(process.execPath, ['--input-type=module', '--eval', SERVER]);
    await listening.waitForOutput(/listening/);
  });
  afterAll(() => lab?.destroy());

  async function start(queues = 1): Promise<{ mode: string }[]> {
    const prefixes = '10.0.1.2/32,10.0.2.0/24,2001:db8:1::2/128,2001:db8:2::/64';
    const args = [String(queues), prefixes, 'left', MACS.client, 'right', MACS.server];
    forwarder = middle.spawn(process.execPath, [FORWARDER, ...args]);
    await forwarder.waitForOutput(/ready .*\n/);
    return JSON.parse(/ready (.*)/.exec(forwarder.stdout)![1]!);
  }

  async function stop(): Promise<Result> {
    forwarder!.kill('SIGTERM');
    await forwarder!.exited;
    const text = /result (.*)/.exec(forwarder!.stdout)?.[1];
    if (!text) throw new Error(forwarder!.output);
    return JSON.parse(text);
  }

  const transfer = async (host: string, bytes: number) =>
    JSON.parse(await client.run(CLIENT, { env: { TRANSFER: JSON.stringify([host, bytes]) }, timeout: 40_000 }));

  /** Packets that the middle's kernel has forwarded, both families. */
  async function forwarded(): Promise<number> {
    const text = await middle.exec('cat', ['/proc/net/snmp', '/proc/net/snmp6']);
    const [names, values] = [...text.matchAll(/^Ip: (.*)$/gm)].map((match) => match[1]!.split(' '));
    const six = Number(/Ip6OutForwDatagrams\s+(\d+)/.exec(text)![1]);
    return Number(values![names!.indexOf('ForwDatagrams')]) + six;
  }

  it('carries TCP whole, with the offloads of the hosts as they come, and hides it from the kernel', async () => {
    const before = await forwarded();
    const ports = await start();
    expect(ports.map(({ mode }) => mode)).toEqual(Array(2).fill('copy, hidden from the kernel'));
    const features = await client.attempt('ethtool', ['-k', 'eth0']);
    if (features.code === 0) expect(features.stdout).toContain('tcp-segmentation-offload: on');
    expect(await transfer('10.0.2.2', 20_000_000)).toEqual({ sent: true, received: true });
    expect(await transfer('2001:db8:2::2', 10_000_000)).toEqual({ sent: true, received: true });
    expect(await forwarded()).toBe(before);
    const { counters, longest, drops } = await stop();
    expect(longest).toBe(1514);
    for (const { rxPackets } of counters) expect(rxPackets).toBeGreaterThan(5000);
    expect(JSON.stringify(drops)).not.toContain('too big');
    // With the driver gone the kernel forwards again.
    expect(await transfer('10.0.2.2', 1000)).toEqual({ sent: true, received: true });
    expect(await forwarded()).toBeGreaterThan(before);
  });

  it('spreads flows over the queues', async () => {
    await start(2);
    const results = await Promise.all(Array.from({ length: 16 }, () => transfer('10.0.2.2', 20_000)));
    expect(results).toEqual(Array(16).fill({ sent: true, received: true }));
    const { perWorker } = await stop();
    for (const queue of perWorker.flat()) expect(queue).toBeGreaterThan(0);
  });

  it('shows the traffic to the kernel again when the driver is killed', async () => {
    await start();
    expect(await middle.exec('nft', ['list', 'tables'])).toContain('table netdev lbd_');
    forwarder!.kill('SIGKILL');
    await forwarder!.exited;
    await waitFor('the table to go', async () => (await middle.exec('nft', ['list', 'tables'])) === '');
    expect(await transfer('10.0.2.2', 1000)).toEqual({ sent: true, received: true });
  });

  it('hides the traffic again when somebody has killed nft', async () => {
    const before = await forwarded();
    await start();
    const rules = async () => (await middle.exec('nft', ['list', 'ruleset'])).replace(/^table .*/gm, '');
    const here = '[ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ] && echo $p';
    const helper = () => middle.exec('sh', ['-c', `for p in $(pgrep -x nft); do ${here}; done; true`]);
    const [hidden, nft] = [await rules(), await helper()];
    expect(hidden).toContain('2001:db8:2::/64');
    process.kill(Number(nft), 'SIGKILL');
    await waitFor('another nft', async () => /^\d+\n$/.test(await helper()) && (await helper()) !== nft);
    await waitFor('the same rules', async () => (await rules()) === hidden);
    expect(await transfer('10.0.2.2', 100_000)).toEqual({ sent: true, received: true });
    expect(await forwarded()).toBe(before);
    await stop();
    expect(forwarder!.output).toContain('starting it again');
  });

  it('works in an unprivileged user namespace', () => {
    const output = execFileSync('unshare', ['-Urn', process.execPath, ALONE], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual({
      mode: 'copy, hidden from the kernel',
      taken: ['to the prefix', 'return', 'later fragment'],
      notFound: 'LBD_DRIVER_NO_INTERFACE',
      down: 'LBD_DRIVER_OPEN',
    });
  });

  it('runs the example of the README', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const example = /```js\n(.*?)```/s.exec(readme)![1]!;
    const file = fileURLToPath(new URL(`../dist/readme-${process.pid}.mjs`, import.meta.url));
    writeFileSync(file, example);
    try {
      const command = 'ip link set lo up && exec "$0" "$1"';
      const args = ['-Urn', 'sh', '-c', command, process.execPath, file];
      expect(execFileSync('unshare', args, { encoding: 'utf8' }).trim().split('\n')).toEqual([
        'lo copy, hidden from the kernel',
        "[ 'af_packet-input', 'af_packet-output', 'af_packet-punt' ]",
        '1 socket to wait for',
      ]);
    } finally {
      rmSync(file);
    }
  });
});
