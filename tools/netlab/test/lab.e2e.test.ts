import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Lab, labSuite, type Namespace, privileges, waitFor } from '../dist/index.js';

/** Network namespaces on this machine, seen through the processes in them. */
function networkNamespaces(): Set<string> {
  const found = new Set<string>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      found.add(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      // ended meanwhile
    }
  }
  return found;
}

const namespaceOf = (pid: number) => readlinkSync(`/proc/${pid}/ns/net`);

labSuite(describe, 'namespaces', 'a lab', () => {
  let lab: Lab;
  let left: Namespace;
  let right: Namespace;

  beforeEach(async () => {
    lab = await Lab.create('test');
    left = await lab.namespace('left');
    right = await lab.namespace('right');
  });

  afterEach(() => lab.destroy());

  it('joins namespaces by a link with the addresses, MACs, MTU and queues asked for', async () => {
    const [a, b] = await lab.link(left, right, {
      a: { name: 'east', addresses: ['10.0.0.1/24', 'fd00::1/64'], mac: '02:00:00:00:00:01' },
      b: { addresses: ['10.0.0.2/24', 'fd00::2/64'] },
      mtu: 1400,
      queues: 2,
    });
    expect(a).toMatchObject({ name: 'east', mac: '02:00:00:00:00:01' });
    expect(b.name).toBe('eth0');
    const [link] = await left.ipJson('-details', 'link', 'show', 'dev', 'east');
    expect(link).toMatchObject({ mtu: 1400, num_rx_queues: 2, num_tx_queues: 2, operstate: 'UP' });
    expect(await left.ping('10.0.0.2')).toBe(1);
    expect(await left.ping('fd00::2')).toBe(1);
    expect(await left.ping('10.0.0.3', { timeout: 200 })).toBe(0);
  });

  it('shows its own interfaces under /sys', async () => {
    await lab.link(left, right, { a: { name: 'east' } });
    expect((await left.exec('ls', ['/sys/class/net'])).split('\n').filter(Boolean).sort()).toEqual(['east', 'lo']);
  });

  it('switches between several namespaces', async () => {
    const network = await lab.switch('network');
    await network.attach(left, { a: { addresses: ['10.0.0.1/24'] } });
    await network.attach(right, { a: { addresses: ['10.0.0.2/24'] } });
    expect(await left.ping('10.0.0.2')).toBe(1);
  });

  it('says what failed, and where', async () => {
    await expect(left.ip('route add 10.9.0.0/16 via 10.0.0.1')).rejects.toThrow(/\[left\] "ip .*failed \(\d+\)/s);
    expect(await left.attempt('sh', ['-c', 'echo out; echo err >&2; exit 7'])).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      code: 7,
    });
    await expect(left.exec('sleep', ['60'], { timeout: 100 })).rejects.toThrow(/longer than 100 ms/);
  });

  it('sets sysctls, runs Node and Python in the namespace', async () => {
    await left.sysctl('net.ipv4.ip_forward', 1);
    expect(
      await left.run(`import { readFileSync } from 'node:fs';
      console.log(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim())`),
    ).toBe('1\n');
    expect(await left.python('import sys; print(sys.argv[1:])', ['a b'])).toBe("['a b']\n");
  });

  it('serves and requests HTTP, by new and by kept connections', async () => {
    await lab.link(left, right, { a: { addresses: ['10.0.0.1/24'] }, b: { addresses: ['10.0.0.2/24'] } });
    const [client, server] = [await left.actor(), await right.actor('apache')];
    await server.call('httpServer', { port: 80 });
    const url = 'http://10.0.0.2/?bytes=5000';
    const fresh = await client.call('httpLoad', { url, requests: 20, connections: 4, perConnection: 1 });
    expect(fresh).toMatchObject({ ok: 20, failed: 0, servers: { apache: 20 }, errors: [] });
    expect(new Set(fresh.flows.map((flow) => flow.localPort)).size).toBe(20);
    const kept = await client.call('httpLoad', { url, requests: 20, connections: 4 });
    expect(kept.flows.length).toBe(4);
    expect(kept.flows.reduce((sum, flow) => sum + flow.ok, 0)).toBe(20);
    expect(await server.call('httpServed')).toBe(40);
  });

  it('counts requests that get no answer', async () => {
    await lab.link(left, right, { a: { addresses: ['10.0.0.1/24'] }, b: { addresses: ['10.0.0.2/24'] } });
    const client = await left.actor();
    const refused = await client.call('httpLoad', { url: 'http://10.0.0.2/', requests: 3 });
    expect(refused).toMatchObject({ ok: 0, failed: 3 });
    expect(refused.errors[0]).toMatch(/ECONNREFUSED/);
    await left.ip('neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0');
    const late = await client.call('httpLoad', { url: 'http://10.0.0.9/', requests: 1, timeout: 200 });
    expect(late.errors).toEqual(['no answer within 200 ms']);
  });

  it('echoes over TCP and UDP', async () => {
    await lab.link(left, right, { a: { addresses: ['10.0.0.1/24'] }, b: { addresses: ['10.0.0.2/24'] } });
    const [client, server] = [await left.actor(), await right.actor()];
    await server.call('tcpEcho', { port: 7 });
    await server.call('udpEcho', { port: 7 });
    const id = await client.call('tcpOpen', { host: '10.0.0.2', port: 7 });
    await client.call('tcpExchange', { id, bytes: 100_000 });
    await client.call('tcpClose', id);
    const udp = await client.call('udpLoad', { host: '10.0.0.2', port: 7, sockets: 3, datagrams: 5, bytes: 1400 });
    expect(udp).toMatchObject({ answered: 15, lost: 0, damaged: 0, servers: { right: 15 } });
    expect(udp.flows.map((flow) => flow.servers)).toEqual([['right'], ['right'], ['right']]);
    await expect(client.call('tcpOpen', { host: '10.0.0.2', port: 9 })).rejects.toThrow(/ECONNREFUSED/);
  });

  it('captures packets to a file', async () => {
    await lab.link(left, right, { a: { addresses: ['10.0.0.1/24'] }, b: { addresses: ['10.0.0.2/24'] } });
    const capture = await right.capture('eth0', `${lab.folder}/ping.pcap`, 'icmp');
    await left.ping('10.0.0.2', { count: 3 });
    const file = await capture.stop();
    const script = 'import sys; from scapy.utils import rdpcap; print(len(rdpcap(sys.argv[1])))';
    expect((await right.python(script, [file])).trim()).toBe('6');
  });

  it('leaves nothing behind when it is destroyed, not even what its programs started', async () => {
    const before = namespaceOf(left.pid);
    const shell = left.spawn('sh', ['-c', 'sleep 1000 & echo $!; exit 0']);
    const orphan = Number((await shell.waitForOutput(/\d+/))[0]);
    const program = left.spawn('sleep', ['1000']);
    const folder = lab.folder;
    expect(namespaceOf(orphan)).toBe(before);
    await lab.destroy();
    await waitFor('the orphan to end', () => !existsSync(`/proc/${orphan}`));
    expect(program.alive).toBe(false);
    expect(networkNamespaces()).not.toContain(before);
    expect(existsSync(folder)).toBe(false);
    await lab.destroy(); // twice is harmless
  });
});

labSuite(describe, 'namespaces', 'a lab whose process', () => {
  const script = `
    import { Lab } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
    const lab = await Lab.create('doomed');
    const [a, b] = [await lab.namespace('a'), await lab.namespace('b')];
    await lab.link(a, b);
    const program = a.spawn('sleep', ['1000']);
    const actor = await b.actor();
    console.log(JSON.stringify({ pids: [a.pid, b.pid, program.pid, actor.process.pid] }));
    setInterval(() => {}, 1000);`;

  /** Starts the script, makes `end` of it, and waits until nothing of its lab is left. */
  async function expectNothingLeft(end: (pid: number) => void, wrap: string[] = []): Promise<void> {
    const [command, ...args] = [...wrap, process.execPath, '--input-type=module', '--eval', script];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    for await (const chunk of child.stdout) {
      out += chunk;
      if (out.includes('\n')) break;
    }
    const { pids } = JSON.parse(out) as { pids: number[] };
    const namespaces = [namespaceOf(pids[0]), namespaceOf(pids[1])];
    expect(new Set([...namespaces, namespaceOf(process.pid)]).size).toBe(3);
    for (const pid of pids) expect(statSync(`/proc/${pid}`).isDirectory()).toBe(true);
    end(child.pid!);
    await waitFor('all processes of the lab to end', () => pids.every(isGone));
    const left = networkNamespaces();
    for (const namespace of namespaces) expect(left).not.toContain(namespace);
  }

  /** A zombie counts as gone: in a container without an init, nobody may collect it. */
  function isGone(pid: number): boolean {
    try {
      return /^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return true;
    }
  }

  it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('gets %s leaves nothing behind', (signal) =>
    expectNothingLeft((pid) => process.kill(pid, signal)),
  );

  const root = privileges().kind === 'root';
  // Elsewhere all the other tests show it.
  it.runIf(root)(`is not root makes it in a user namespace${root ? '' : ' (needs root)'}`, async () => {
    const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--inh-caps=-all'];
    await expectNothingLeft((pid) => process.kill(pid, 'SIGKILL'), nobody);
  });
});
