import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Lab, labSuite, type Namespace, type Running, waitFor } from '@lbd/netlab';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const REFLECTOR = fileURLToPath(new URL('./reflector.mjs', import.meta.url));
const VIP = '10.1.0.100';

/** Sends numbered datagrams from several sockets to the VIP's echo port, and prints how many came back as they were. */
const UDP_LOAD = `
import { createSocket } from 'node:dgram';
const [host, port, sockets, datagrams, size, window] = process.argv.slice(1).map((a, i) => (i === 0 ? a : Number(a)));
let right = 0, wrong = 0;
await Promise.all(Array.from({ length: sockets }, async (_, s) => {
  const socket = createSocket('udp4');
  await new Promise((resolve) => socket.connect(port, host, resolve));
  socket.setRecvBufferSize(1 << 20);
  const waiting = new Map();
  socket.on('message', (m) => {
    const number = m.readUInt32BE(0);
    const expected = waiting.get(number);
    waiting.delete(number);
    if (expected && m.equals(expected)) right++; else wrong++;
  });
  for (let i = 0; i < datagrams; i++) {
    const m = Buffer.alloc(size, (s * 31 + i) & 255);
    m.writeUInt32BE(s * datagrams + i);
    waiting.set(s * datagrams + i, m);
    socket.send(m);
    for (let t = 0; waiting.size >= window && t < 200; t++) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  for (let t = 0; waiting.size > 0 && t < 300; t++) await new Promise((resolve) => setTimeout(resolve, 5));
  socket.close();
}));
console.log(JSON.stringify({ right, wrong }));
`;

interface Stats {
  interfaces: Array<Record<string, number>>;
  workers: number[][];
  buffers: Array<{ free: number; fill: number; rx: number; tx: number }>;
  counters: Record<string, number>;
  sockets: Array<Record<string, number>>;
  cpu: { user: number; system: number };
}

const started = new Set<Running>();

/** The test program, running in a namespace. */
class Reflector {
  readonly running: Running;
  // biome-ignore lint/suspicious/noExplicitAny: JSON
  ports: any[] = [];
  #seen = 0;

  constructor(namespace: Namespace, options: Record<string, unknown>) {
    const args = [REFLECTOR, JSON.stringify({ interfaces: ['xdp0'], vip: `${VIP}/32`, ...options })];
    this.running = namespace.spawn(process.execPath, args);
    started.add(this.running);
  }

  static async start(namespace: Namespace, options: Record<string, unknown> = {}): Promise<Reflector> {
    const reflector = new Reflector(namespace, options);
    const first = await reflector.line();
    if (!first.ready) throw new Error(String(first.message));
    reflector.ports = first.ports as unknown[];
    return reflector;
  }

  /** The next line that it prints. */
  async line(): Promise<Record<string, unknown>> {
    const lines = () => this.running.stdout.split('\n').slice(0, -1);
    await waitFor('a line of the reflector', () => {
      if (!this.running.alive && lines().length <= this.#seen) throw new Error(`it ended: ${this.running.output}`);
      return lines().length > this.#seen;
    });
    return JSON.parse(lines()[this.#seen++]!);
  }

  tell(line: string): void {
    this.running.child.stdin!.write(`${line}\n`);
  }

  async stats(): Promise<Stats> {
    this.tell('stats');
    return (await this.line()) as unknown as Stats;
  }

  async end(): Promise<Record<string, unknown>> {
    this.running.kill('SIGTERM');
    const last = await this.line();
    await this.running.exited;
    return last;
  }
}

async function udpLoad(from: Namespace, sockets = 4, datagrams = 500, size = 200, window = 16) {
  const args = ['--input-type=module', '--eval', UDP_LOAD, VIP, '7', sockets, datagrams, size, window].map(String);
  return JSON.parse(await from.exec(process.execPath, args)) as { right: number; wrong: number };
}

async function attachedPrograms(host: Namespace): Promise<unknown> {
  const [link] = await host.ipJson('-details', 'link', 'show', 'xdp0');
  return link!.xdp;
}

labSuite(describe, 'xdp', 'the af_xdp driver on veth', () => {
  let lab: Lab;
  let client: Namespace;
  let host: Namespace;

  beforeAll(async () => {
    lab = await Lab.create('af-xdp');
    client = await lab.namespace('client');
    host = await lab.namespace('host');
    await lab.link(client, host, {
      a: { name: 'eth0', addresses: ['10.1.0.1/24'] },
      b: { name: 'xdp0', addresses: ['10.1.0.2/24'], mac: '02:00:00:00:01:02' },
      queues: 2,
    });
    await client.ip(`neigh add ${VIP} lladdr 02:00:00:00:01:02 dev eth0`);
  });
  afterAll(async () => {
    await lab?.destroy();
  });

  afterEach(async () => {
    // what a failed test left running
    for (const running of started) await running.stop('SIGKILL');
    started.clear();
  });

  describe.each(['native', 'generic'] as const)('in %s mode', (mode) => {
    it('moves packets in and out through the rings, loses no buffer, and leaves other traffic alone', async () => {
      const echo = await host.actor('host');
      const tcp = mode === 'native' ? 2001 : 2002;
      await echo.call('tcpEcho', { port: tcp });
      const person = await client.actor('person');
      const connection = await person.call('tcpOpen', { host: '10.1.0.2', port: tcp });

      const reflector = await Reflector.start(host, { options: { mode, 'zero-copy': 'auto' } });
      const [port] = reflector.ports;
      expect(port).toMatchObject({ driver: 'af_xdp', mode, queues: 1, partialChecksums: true });
      expect(port.details).toMatchObject({ zeroCopy: false, interfaceDriver: 'veth' });

      expect(await udpLoad(client)).toEqual({ right: 2000, wrong: 0 });
      expect(await udpLoad(client, 2, 3000, 1400, 64)).toEqual({ right: 6000, wrong: 0 });
      await person.call('tcpExchange', { id: connection, bytes: 1000 });
      expect(await client.ping('10.1.0.2', { count: 2 })).toBe(2);

      const stats = await waitFor('the buffers to come home', async () => {
        const now = await reflector.stats();
        return now.buffers.every(({ free, fill, rx, tx }) => rx === 0 && tx === 0 && free + fill === 8192) && now;
      });
      const bytes = 2000 * 242 + 6000 * 1442;
      expect(stats.interfaces[0]).toMatchObject({ rxPackets: 8000, rxBytes: bytes, txPackets: 8000, txBytes: bytes });
      expect(stats.interfaces[0]).toMatchObject({ rxDrops: 0, txDrops: 0 });

      expect(await reflector.end()).toEqual({ ended: true, blank: true });
      expect(await attachedPrograms(host)).toBeUndefined();
      expect(await client.ping('10.1.0.2')).toBe(1);
    });

    it('punts to the kernel what is not its own, as if it had just come in', async () => {
      // The VIP is also an address of the host, so that the kernel has an answer.
      await host.ip(`addr add ${VIP}/32 dev xdp0`);
      await client.exec('ethtool', ['-K', 'eth0', 'tx', 'off', 'tso', 'off']); // the graph would complete checksums
      const reflector = await Reflector.start(host, { options: { mode } });
      const before = await reflector.stats();
      expect(await client.ping(VIP, { count: 5 })).toBe(5);

      const server = await host.actor('host');
      await server.call('tcpEcho', { port: mode === 'native' ? 2201 : 2202, address: VIP });
      const person = await client.actor('person');
      const connection = await person.call('tcpOpen', { host: VIP, port: mode === 'native' ? 2201 : 2202 });
      await person.call('tcpExchange', { id: connection, bytes: 10_000 });

      const after = await reflector.stats();
      expect(after.counters['af_xdp-punt: punt failed']).toBe(0);
      const received = after.interfaces[0]!.rxPackets! - before.interfaces[0]!.rxPackets!;
      expect(received).toBeGreaterThan(10);
      expect(after.counters['af_xdp-punt: punted']).toBe(received); // none came round a second time
      await reflector.end();
      await host.ip(`addr del ${VIP}/32 dev xdp0`);
    });

    it('is detached by the kernel after SIGKILL, and binds again at once', async () => {
      for (let i = 0; i < 3; i++) {
        const reflector = await Reflector.start(host, { options: { mode } });
        expect(await attachedPrograms(host)).toBeDefined();
        expect(await udpLoad(client, 1, 20)).toEqual({ right: 20, wrong: 0 });
        reflector.running.kill('SIGKILL');
        await reflector.running.exited;
      }
      await waitFor('the program to be detached', async () => (await attachedPrograms(host)) === undefined);
      expect(await client.ping('10.1.0.2')).toBe(1);
    });
  });

  it('takes generic mode by itself where there is no native one, and says why', async () => {
    await host.ip('link add bridge0 type bridge', 'link set bridge0 up');
    const reflector = await Reflector.start(host, { interfaces: ['bridge0'] });
    expect(reflector.ports[0].mode).toBe('generic');
    expect(reflector.ports[0].details.whyGeneric).toContain('no native XDP');
    await reflector.end();
    await host.ip('link del bridge0');
  });

  it('serves two queues with two workers', async () => {
    const reflector = await Reflector.start(host, { workers: 2 });
    expect(reflector.ports[0]).toMatchObject({ queues: 2, mode: 'native' });
    expect(await udpLoad(client, 16, 200)).toEqual({ right: 3200, wrong: 0 });
    const { workers } = await reflector.stats();
    expect(workers[0]![0]! + workers[1]![0]!).toBe(3200);
    for (const [received] of workers) expect(received).toBeGreaterThan(0);
    await reflector.end();
  });

  it('has buffers for each of many queues of one worker', async () => {
    await host.ip('link add many0 numrxqueues 8 numtxqueues 8 type veth peer name many1', 'link set many1 up');
    await host.ip('link set many0 up');
    const reflector = await Reflector.start(host, { interfaces: ['many0', 'xdp0'] });
    expect(reflector.ports[0].details.queues).toHaveLength(8);
    expect(await udpLoad(client, 16, 200)).toEqual({ right: 3200, wrong: 0 });
    await reflector.end();
    await host.ip('link del many0');
  });

  it('deals queues out to no more workers than can send', async () => {
    await host.ip('link add odd0 numrxqueues 3 numtxqueues 2 type veth peer name odd1 numrxqueues 2 numtxqueues 3');
    await host.ip('link set odd0 up', 'link set odd1 up');
    const reflector = await Reflector.start(host, { interfaces: ['odd0'], workers: 3 });
    const [{ queues, details }] = reflector.ports;
    expect([queues, details.queues.map(({ worker }: { worker: number }) => worker)]).toEqual([2, [0, 1, 0]]);
    await reflector.end();
    await host.ip('link del odd0');
  });

  it('steers while it runs', async () => {
    const reflector = await Reflector.start(host);
    expect((await udpLoad(client, 1, 10)).right).toBe(10);
    reflector.tell(`remove ${VIP}/32`);
    await reflector.stats();
    expect((await udpLoad(client, 1, 10)).right).toBe(0);
    reflector.tell('add 10.1.0.96/28');
    await reflector.stats();
    expect((await udpLoad(client, 1, 10)).right).toBe(10);
    await reflector.end();
  });

  it('sleeps when nothing comes', async () => {
    const reflector = await Reflector.start(host);
    await udpLoad(client, 1, 10);
    const before = (await reflector.stats()).cpu;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const after = (await reflector.stats()).cpu;
    expect(after.user + after.system - before.user - before.system).toBeLessThan(100_000); // microseconds
    await reflector.end();
  });

  it('sends again after its interface was down and the ring filled up', async () => {
    await host.ip('link add xdp1 type veth peer name far1', 'link set far1 up', 'link set xdp1 up');
    const options = { 'tx-ring': 64 };
    // A worker that goes to sleep has the kernel look at all its rings; this one is too busy.
    const reflector = await Reflector.start(host, { interfaces: ['xdp0', 'xdp1'], to: 1, awake: true, options });
    await host.ip('link set xdp1 down');
    await udpLoad(client, 1, 200, 100, 201);
    const full = await reflector.stats();
    expect(full.buffers[0]!.tx).toBe(64);
    expect(full.interfaces[1]).toMatchObject({ txPackets: 64, txDrops: 136 });
    await host.ip('link set xdp1 up');
    await udpLoad(client, 1, 2, 100, 3);
    await waitFor('the ring to be empty', async () => (await reflector.stats()).buffers[0]!.tx === 0);
    await reflector.end();
    await host.ip('link del xdp1');
  });

  it('counts what the kernel drops because it does not fit a frame', async () => {
    for (const [namespace, name] of [
      [client, 'eth0'],
      [host, 'xdp0'],
    ] as const)
      await namespace.ip(`link set ${name} mtu 2500`);
    const reflector = await Reflector.start(host);
    expect((await udpLoad(client, 1, 5, 1700)).right).toBe(5);
    expect((await udpLoad(client, 1, 10, 2000)).right).toBe(0);
    await waitFor('the drops to be booked', async () => (await reflector.stats()).interfaces[0]!.rxDrops === 10);
    await reflector.end();
    for (const [namespace, name] of [
      [client, 'eth0'],
      [host, 'xdp0'],
    ] as const)
      await namespace.ip(`link set ${name} mtu 1500`);
  });

  it('runs the example of the README', async () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const file = fileURLToPath(new URL(`../.example-${process.pid}.mjs`, import.meta.url));
    writeFileSync(file, /```ts\n(.*?)```/s.exec(readme)![1]!);
    try {
      expect(await client.exec(process.execPath, [file])).toBe('eth0: native mode, 2 queues, zero-copy: false\n');
    } finally {
      rmSync(file);
    }
  });

  it.each([
    ['a missing interface', { interfaces: ['nowhere0'] }, 'LBD_DRIVER_NO_INTERFACE', /nowhere0.*no such interface/],
    ['an unknown option', { options: { color: 1 } }, 'LBD_DRIVER_OPTION', /color 1: there is no such option/],
    ['a ring size', { options: { 'rx-ring': 1000 } }, 'LBD_DRIVER_OPTION', /rx-ring 1000: must be a power of two/],
    ['zero-copy on veth', { options: { 'zero-copy': 'on' } }, 'LBD_DRIVER_OPEN', /can not do zero-copy/],
    ['an interface twice', { interfaces: ['xdp0', 'xdp0'] }, 'LBD_DRIVER_OPEN', /xdp0 is open already/],
  ])('refuses %s and leaves nothing behind', async (_, options, code, message) => {
    const reflector = new Reflector(host, options);
    const said = await reflector.line();
    expect(said.code).toBe(code);
    expect(said.message).toMatch(message);
    await reflector.running.exited;
    expect(await attachedPrograms(host)).toBeUndefined();
  });

  it('refuses an interface that another program uses', async () => {
    const first = await Reflector.start(host);
    const said = await new Reflector(host, {}).line();
    expect(said).toMatchObject({ code: 'LBD_DRIVER_OPEN' });
    expect(said.message).toContain('another program has an XDP socket on this queue');
    expect(await udpLoad(client, 1, 20)).toEqual({ right: 20, wrong: 0 });
    await first.end();
  });
});
