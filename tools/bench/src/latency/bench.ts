import { Lab } from '@lbd/netlab';
import { compile } from '../compile.ts';
import type { Figure } from '../report.ts';
import { inTurn, median, ratios } from '../statistics.ts';
import { fixed, table } from '../table.ts';
import { type Device, GENERATOR_CORE, lbd } from '../veth/devices.ts';
import { missing } from '../veth/requirements.ts';
import { makeSite, type Site, VIP, VIP_PORT } from '../veth/topology.ts';
import { DEVICES, spinning } from './devices.ts';

export interface LatencyOptions {
  readonly rounds: number;
  /** Of each measurement. */
  readonly milliseconds: number;
}

/** Microseconds after an answer until the next packet goes: at once, and so long that whoever sleeps when idle is asleep. */
const PAUSES = [0, 1000] as const;
/** As over veth under load: V8 compiles a worker's loop when it has run for a while. */
const WARM_UP_MS = 500;

/** Round trips of one turn, microseconds. */
export interface Trips {
  readonly median: number;
  readonly p99: number;
  readonly count: number;
  readonly lost: number;
}

export interface LatencyResult {
  readonly device: string;
  readonly title: string;
  /** By pause. */
  readonly turns: ReadonlyArray<{ readonly pause: number; readonly trips: readonly Trips[] }>;
}

/** A packet goes through a device and its answer back, one at a time; the devices in turn. */
export async function latencyBench(options: LatencyOptions, print: (text: string) => void) {
  const why = missing();
  if (why !== undefined) {
    print(`\nlatency: skipped: ${why}`);
    return undefined;
  }
  const lab = await Lab.create('latency');
  try {
    const generator = await lab.namespace('generator');
    const sink = await lab.namespace('sink');
    const measurements = [];
    for (const device of DEVICES) {
      const site = await makeSite(lab, generator, sink, device.name);
      await device.setUp?.(site);
      measurements.push(() => turn(device, site, options.milliseconds));
    }
    const measured = await inTurn(options.rounds, ...measurements);
    const results = DEVICES.map(
      ({ name, title }, i): LatencyResult => ({
        device: name,
        title,
        turns: PAUSES.map((pause, k) => ({ pause, trips: measured[i]!.map((trips) => trips[k]!) })),
      }),
    );
    const compared = figures(results);
    for (const pause of PAUSES) {
      const when = pause === 0 ? 'at once after each answer' : `${pause} µs after each answer`;
      print(`\nround trips over veth, µs, the next packet ${when}: medians of ${options.rounds} rounds\n`);
      print(show(results, pause));
    }
    return { results, figures: compared };
  } finally {
    await lab.destroy();
  }
}

async function turn(device: Device, site: Site, milliseconds: number): Promise<Trips[]> {
  const running = await device.start?.(site, 1024);
  try {
    await pingPong(site, WARM_UP_MS, 0);
    const trips: Trips[] = [];
    for (const pause of PAUSES) trips.push(await pingPong(site, milliseconds, pause));
    return trips;
  } finally {
    await running?.stop();
  }
}

async function pingPong({ generator, client, sink, dut }: Site, milliseconds: number, pause: number): Promise<Trips> {
  const program = await compile('pingpong');
  const net = `/proc/${sink.namespace.pid}/ns/net`;
  const ends = [generator.name, client.mac, generator.mac, VIP, String(VIP_PORT), sink.name, net];
  const args = ['-c', String(GENERATOR_CORE), program, ...ends, String(milliseconds), String(pause)];
  const stdout = await generator.namespace.exec('taskset', args);
  const { lost, ns } = JSON.parse(stdout) as { lost: number; ns: number[] };
  if (ns.length === 0) throw new Error(`no packet came back through ${dut.name}`);
  const sorted = ns.sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]! / 1000;
  return { median: at(0.5), p99: at(0.99), count: sorted.length, lost };
}

const of = (results: readonly LatencyResult[], device: Device, pause: number) =>
  results.find(({ device: name }) => name === device.name)!.turns.find((turn) => turn.pause === pause)!.trips;

/** lbd beside the C forwarder that spins. */
function figures(results: readonly LatencyResult[]): Figure[] {
  return PAUSES.flatMap((pause) =>
    (['median', 'p99'] as const).map((which): Figure => {
      const values = (device: Device) => of(results, device, pause).map((trips) => trips[which]);
      return {
        name: `latency pause=${pause} ${which}`,
        of: `${lbd.title} / ${spinning.title}`,
        lessIsBetter: true,
        ratio: ratios(values(lbd), values(spinning)),
      };
    }),
  );
}

function show(results: readonly LatencyResult[], pause: number): string {
  const base = of(results, spinning, pause);
  return table(
    ['', 'median', '99th percentile', 'lost', `median / ${spinning.title}`, '99th'],
    results.map(({ title, turns }) => {
      const { trips } = turns.find((one) => one.pause === pause)!;
      const values = (which: 'median' | 'p99' | 'lost') => trips.map((one) => one[which]);
      const beside = (which: 'median' | 'p99') => {
        const {
          median: middle,
          min,
          max,
        } = ratios(
          values(which),
          base.map((one) => one[which]),
        );
        return `${fixed(middle, 2)} (${fixed(min, 2)} to ${fixed(max, 2)})`;
      };
      return [
        title,
        fixed(median(values('median'))),
        fixed(median(values('p99'))),
        String(values('lost').reduce((sum, n) => sum + n, 0)),
        beside('median'),
        beside('p99'),
      ];
    }),
  );
}
