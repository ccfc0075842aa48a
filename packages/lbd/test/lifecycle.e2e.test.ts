import { readFileSync } from 'node:fs';
import {
  type Actor,
  BalancerLab,
  CLIENT_SIDE,
  type Daemon,
  labSuite,
  SERVER_SIDE,
  sleep,
  VIP_URL,
  waitFor,
} from '@lbd/netlab';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const CLOCK_TICKS = 100; // a second, in /proc/<pid>/stat (USER_HZ)
const SSH = 22;

labSuite(describe, 'xdp', 'the daemon from start to end', () => {
  let lab: BalancerLab;
  let client: Actor;

  beforeEach(async () => {
    lab = await BalancerLab.create('life');
    const servers = await lab.httpServers();
    // Not the target port: without a session, a server's answer from there is taken for the VIP's (see encap-nat).
    await servers[2].call('httpServer', { port: 8081 });
    client = await lab.client.actor();
    const ssh = await lab.host.actor('ssh');
    await ssh.call('tcpEcho', { port: SSH });
  });

  afterEach(async () => {
    await lab?.destroy();
  });

  async function start(): Promise<Daemon> {
    const lbd = await lab.start({ ...lab.config({ driver: 'af_xdp' }), commands: lab.vipCommands });
    expect((await lab.xdpPrograms()).length).toBe(2);
    return lbd;
  }

  async function expectBalancing(): Promise<void> {
    const result = await client.call('httpLoad', { url: VIP_URL, requests: 30, connections: 3, perConnection: 1 });
    expect(result.errors).toEqual([]);
  }

  /** Both interfaces work as they did before lbd came, for the host and for what it forwards. */
  async function expectOrdinaryTraffic(): Promise<void> {
    for (const host of ['10.1.0.1', '192.168.1.2']) expect(await lab.client.ping(host, { count: 2 })).toBe(2);
    const id = await client.call('tcpOpen', { host: '10.1.0.1', port: SSH });
    await client.call('tcpExchange', { id, bytes: 200_000 });
    await client.call('tcpClose', id);
    const direct = await client.call('httpLoad', { url: 'http://192.168.1.3:8081/?bytes=50000', requests: 10 });
    expect(direct.errors).toEqual([]);
  }

  it('detaches and says nothing bad on SIGTERM; starts again', async () => {
    const lbd = await start();
    await expectBalancing();
    const exit = await lbd.stop('SIGTERM');
    expect(exit).toEqual({ code: 0, signal: null });
    expect(await lab.xdpPrograms()).toEqual([]);
    await expectOrdinaryTraffic();
    await start();
    await expectBalancing();
  });

  it('ends on SIGINT, too, and with a connection under way', async () => {
    const lbd = await start();
    await client.call('httpStart', { url: VIP_URL, connections: 2, timeout: 500 });
    await waitFor('traffic', async () => (await client.call('httpSoFar')).ok > 20);
    expect(await lbd.stop('SIGINT')).toEqual({ code: 0, signal: null });
    expect(await lab.xdpPrograms()).toEqual([]);
    await client.call('httpStop');
  });

  it('leaves working interfaces behind when it is killed, and binds again', async () => {
    const lbd = await start();
    await expectBalancing();
    await lbd.stop('SIGKILL');
    await waitFor('the kernel to detach the programs', async () => (await lab.xdpPrograms()).length === 0);
    await expectOrdinaryTraffic();
    await start(); // over the socket file that the killed one left
    await expectBalancing();
    await expectOrdinaryTraffic();
  });

  it('refuses interfaces that another lbd has, and that one goes on', async () => {
    await start();
    const second = lab.launch(lab.config({ driver: 'af_xdp' }), { name: 'second' });
    const exit = await second.process.exited;
    expect(exit.code).toBeGreaterThan(0);
    expect(second.process.output).toMatch(new RegExp(`${CLIENT_SIDE}|${SERVER_SIDE}`));
    await expectBalancing();
  });

  it('runs with no more capabilities than its README names, and says which are missing', async () => {
    const limited = (name: string, ...capabilities: string[]) => {
      const bounding = ['-all', ...capabilities.map((capability) => `+${capability}`)].join(',');
      const under = ['setpriv', '--inh-caps', '-all', '--bounding-set', bounding];
      return lab.launch({ ...lab.config({ driver: 'af_xdp' }), commands: lab.vipCommands }, { name, under });
    };
    const withoutPerfmon = limited('without', 'net_admin', 'net_raw', 'bpf', 'ipc_lock');
    expect((await withoutPerfmon.process.exited).code).toBe(1);
    expect(withoutPerfmon.process.output).toMatch(/^lbd: .*CAP_PERFMON.*$/);
    const lbd = limited('limited', 'net_admin', 'net_raw', 'bpf', 'perfmon', 'ipc_lock');
    await waitFor('it to run', () => lbd.process.output.includes('lbd runs'));
    await expectBalancing();
    expect(await lbd.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('says when an interface goes down, comes up, and is deleted', async () => {
    const lbd = await start();
    const told = (what: string) =>
      waitFor(what, () => lbd.process.output.includes(`"interface":"${SERVER_SIDE}","msg":"${what}`));
    await lab.host.ip(`link set ${SERVER_SIDE} down`);
    await told('the interface is down');
    await lab.host.ip(`link set ${SERVER_SIDE} up`);
    await told('the interface is up');
    await lab.host.ip(`link delete ${SERVER_SIDE}`);
    await told('the interface is gone');
    expect(await lbd.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('takes under 2% of a core when there is nothing to do, also after traffic', async () => {
    const lbd = await start();
    await expectBalancing();
    await sleep(1000);
    const before = cpuSeconds(lbd.pid);
    await sleep(5000);
    expect((cpuSeconds(lbd.pid) - before) / 5).toBeLessThan(0.02);
    await expectBalancing(); // it was asleep, not dead
  });
});

/** User and system time of all threads, seconds (proc(5)). */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The command name, in parentheses, may contain blanks; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}
