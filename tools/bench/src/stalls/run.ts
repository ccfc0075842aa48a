import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Daemon, Lab } from '@lbd/netlab';
import { compile } from '../compile.ts';
import { interfaceCounters } from '../veth/counters.ts';
import { DEVICE_CORE, GENERATOR_CORE, lbdConfig } from '../veth/devices.ts';
import { load } from '../veth/measure.ts';
import { makeSite, SERVERS, type Site, VIP, VIP_PORT } from '../veth/topology.ts';

const FLOWS = 16_384;
const CONTROL_MS = 5000;
const RATE_MS = 2000;

export interface StallOptions {
  /** Length of the run. */
  readonly seconds: number;
}

/** What became of a worker at half the rate that it can take, with a change of the configuration each second. */
export interface Stalls {
  readonly seconds: number;
  readonly packetsPerSecond: number;
  readonly changes: number;
  /** The worker's pauses, from its own clock: the longest, in milliseconds; then how many, by powers of two microseconds. */
  readonly longest: number;
  readonly counts: readonly number[];
  /** Milliseconds that the hypervisor took from the machine meanwhile, all cores together. */
  readonly steal: number;
  /** Milliseconds that the worker was ready to run and the kernel ran others on its core. */
  readonly waited: number;
  /**
   * The same of a program that only reads the clock, on the worker's core, before and after: the longest time, milliseconds, that it
   * could not, and those of a millisecond or more together, in thousandths of the time.
   */
  readonly control: { readonly longest: number; readonly long: number };
  /** Packets that were sent and did not come out. */
  readonly lost: number;
}

/** Runs lbd over veth at half its rate while servers and VIPs come and go. */
export async function measureStalls({ seconds }: StallOptions): Promise<Stalls> {
  const lab = await Lab.create('stalls');
  try {
    const generator = await lab.namespace('generator');
    const sink = await lab.namespace('sink');
    const site = await makeSite(lab, generator, sink, 'lbd');
    const before = await control(site);
    const lbd = await Daemon.start(site.dut, lbdConfig(site, FLOWS), { folder: site.folder });
    await load(site, FLOWS, RATE_MS / 2);
    await settle(lbd.pid);
    const { mpps } = await load(site, FLOWS, RATE_MS);
    const rate = Math.round((mpps * 1e6) / 2);
    const result = await run(site, lbd, seconds, rate);
    await lbd.stop();
    const after = await control(site);
    return {
      ...result,
      seconds,
      packetsPerSecond: rate,
      control: { longest: Math.max(before.longest, after.longest), long: (before.long + after.long) / 2 / CONTROL_MS },
    };
  } finally {
    await lab.destroy();
  }
}

async function run(site: Site, lbd: Daemon, seconds: number, rate: number) {
  const { generator, client, sink } = site;
  const args = [generator.name, client.mac, generator.mac, VIP, String(VIP_PORT), String(FLOWS), '0', String(rate)];
  const blast = generator.namespace.spawn('taskset', ['-c', String(GENERATOR_CORE), await compile('blast'), ...args]);
  try {
    await sleep(1000);
    await lbd.command('clear runtime');
    const sent = interfaceCounters(generator).sent;
    const came = interfaceCounters(sink).received;
    const stolen = steal();
    const ran = threads(lbd.pid);
    const end = performance.now() + seconds * 1000;
    let changes = 0;
    while (performance.now() < end) {
      await change(lbd, changes++);
      await sleep(1000);
    }
    const lost = interfaceCounters(generator).sent - sent - (interfaceCounters(sink).received - came);
    const { workers } = await lbd.data('show runtime');
    const [{ pauses }] = workers as [{ pauses: { longest: number; counts: number[] } }];
    if (!blast.alive) throw new Error(`the generator ended: ${blast.output}`);
    return {
      changes,
      longest: pauses.longest,
      counts: pauses.counts,
      steal: steal() - stolen,
      waited: waitOfBusiest(ran, threads(lbd.pid)),
      lost,
    };
  } finally {
    await blast.stop();
  }
}

/** In turn: another weight, a server that goes with its flows and comes back, a VIP that comes with servers and goes. */
async function change(lbd: Daemon, n: number): Promise<void> {
  const vip = `${VIP}/32 protocol udp port ${VIP_PORT}`;
  const server = SERVERS[n % SERVERS.length]!;
  const other = `10.10.9.${1 + (n % 200)}/32 protocol udp port 53`;
  switch (n % 4) {
    case 0:
      await lbd.command(`lb as ${vip} ${server} weight ${1 + (n % 100)}`);
      break;
    case 1:
      await lbd.command(`lb as ${vip} ${server} del flush`);
      await lbd.command(`lb as ${vip} ${server}`);
      break;
    case 2:
      await lbd.command(`lb vip ${other} encap nat4 type clusterip target_port 53`);
      await lbd.command(`lb as ${other} ${SERVERS.join(' ')}`);
      await lbd.command(`lb vip ${other} del`);
      break;
    default:
      await lbd.command(`lb as ${vip} ${server} weight ${1 + (n % 100)} flush`);
  }
}

async function control({ dut }: Site): Promise<{ longest: number; long: number }> {
  const args = ['-c', String(DEVICE_CORE), await compile('gaps'), String(CONTROL_MS)];
  return JSON.parse(await dut.exec('taskset', args)) as { longest: number; long: number };
}

/** What the kernel's scheduler says of a process's threads, milliseconds: that they ran, and that they waited for a core. */
function threads(pid: number): Map<string, { ran: number; waited: number }> {
  const all = new Map<string, { ran: number; waited: number }>();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const [ran, waited] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ').map(Number);
    all.set(tid, { ran: ran! / 1e6, waited: waited! / 1e6 });
  }
  return all;
}

/** Gives the worker a core, and all other threads the generator's: they have little to do. */
async function settle(pid: number): Promise<void> {
  const [worker, ...others] = [...threads(pid)].sort(([, a], [, b]) => b.ran - a.ran).map(([tid]) => tid);
  const pin = (core: number, tid: string) => promisify(execFile)('taskset', ['-p', '-c', String(core), tid]);
  await pin(DEVICE_CORE, worker!);
  // Before others, as a unit with Nice= runs it: what else the machine has to do comes to this core, too.
  await promisify(execFile)('renice', ['-n', '-20', '-p', worker!]);
  for (const tid of others) await pin(GENERATOR_CORE, tid);
}

/** How long the thread waited that ran most: the worker. */
function waitOfBusiest(before: ReturnType<typeof threads>, after: ReturnType<typeof threads>): number {
  const spent = [...after].map(([tid, now]) => {
    const then = before.get(tid) ?? { ran: 0, waited: 0 };
    return { ran: now.ran - then.ran, waited: now.waited - then.waited };
  });
  return spent.sort((a, b) => b.ran - a.ran)[0]!.waited;
}

/** Milliseconds that were stolen from all cores since the machine started: ticks of 10. */
function steal(): number {
  const [all] = readFileSync('/proc/stat', 'utf8').split('\n');
  return Number(all!.trim().split(/\s+/)[8]) * 10;
}

/** Milliseconds in pauses of a millisecond and more, at least: each counts as the least of its bucket. */
export function millisecondsInLongPauses(counts: readonly number[]): number {
  // Bucket k is for 2^(k-1) microseconds and more; 1,024 microseconds are in bucket 11.
  return counts.reduce((sum, count, k) => (k < 11 ? sum : sum + (count * 2 ** (k - 1)) / 1000), 0);
}

/** In words, for people. */
export function describeStalls(stalls: Stalls): string {
  const { seconds, packetsPerSecond, changes, longest, counts, steal: stolen, waited, control: beside, lost } = stalls;
  const last = counts.length - 1;
  const histogram = counts
    .map((count, k) => ({ count, words: k === last ? `${2 ** (k - 1)} µs and more` : `below ${2 ** k} µs` }))
    .filter(({ count }) => count > 0)
    .map(({ count, words }) => `  ${words.padStart(20)} ${count}`);
  return [
    `${seconds} s at ${packetsPerSecond} packets a second, ${changes} times changes of the configuration: ${lost} packets lost`,
    `longest pause ${longest.toFixed(3)} ms; pauses of 1 ms and more take ${((millisecondsInLongPauses(counts) / seconds) * 0.1).toFixed(4)}% of the time`,
    `stolen from the machine ${stolen} ms; waited for a core, while others ran there, ${waited.toFixed(1)} ms`,
    `a program that reads the clock on the same core, alone: longest gap ${beside.longest.toFixed(3)} ms, gaps of 1 ms and more ${(beside.long * 100).toFixed(4)}% of the time`,
    'pauses:',
    ...histogram,
  ].join('\n');
}
