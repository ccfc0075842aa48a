import { Lab } from '@lbd/netlab';
import type { Figure } from '../report.ts';
import { inTurn, median, ratios, type Spread, spread } from '../statistics.ts';
import { fixed, table } from '../table.ts';
import { type Comparison, DEVICE_CORE, type Device, GENERATOR_CORE } from './devices.ts';
import { type Load, load } from './measure.ts';
import { missing } from './requirements.ts';
import { makeSite, type Site } from './topology.ts';

export interface VethOptions {
  readonly flows: number;
  readonly rounds: number;
  /** Of each measurement. */
  readonly milliseconds: number;
}

/** Each device forwards the same traffic over veth in turn. Resolves with undefined where that is not possible. */
export async function vethBench(comparison: Comparison, options: VethOptions, print: (text: string) => void) {
  const { devices, queues, base, cores } = comparison;
  const why = missing();
  if (why !== undefined) {
    print(`\nveth: skipped: ${why}`);
    return undefined;
  }
  const lab = await Lab.create('bench');
  try {
    const generator = await lab.namespace('generator');
    const sink = await lab.namespace('sink');
    const measured = await inTurn(
      options.rounds,
      ...(await Promise.all(
        devices.map(async (device) => {
          const site = await makeSite(lab, generator, sink, device.name, queues);
          await device.setUp?.(site);
          return () => turn(device, site, options);
        }),
      )),
    );
    const results = devices.map((device, i) => summarise(device, measured[i]!));
    const compared = figures(results, comparison, options.flows);
    print(`\nover veth, ${options.flows} flows, 64-byte packets: medians of ${options.rounds} rounds (least to most)`);
    print(`${queues} ${queues === 1 ? 'queue' : 'queues'}: ${cores}\n`);
    print(show(results, base, compared));
    return { results, figures: compared };
  } finally {
    await lab.destroy();
  }
}

/** Processes run during their turn only: one that spins would take the others' core. */
async function turn(device: Device, site: Site, { flows, milliseconds }: VethOptions): Promise<Load> {
  const running = await device.start?.(site, flows);
  try {
    return await load(site, flows, milliseconds);
  } finally {
    await running?.stop();
  }
}

/** What was measured of a device. Shares of a core's time are medians, 0 to 1. */
export interface DeviceResult {
  readonly device: string;
  readonly title: string;
  readonly turns: readonly Load[];
  readonly mpps: Spread;
  readonly sentMpps: number;
  readonly generatorCore: number;
  readonly deviceCore: number;
}

function summarise({ name, title }: Device, turns: readonly Load[]): DeviceResult {
  const busy = (core: number) => median(turns.map(({ cores }) => cores[core]!.busy));
  return {
    device: name,
    title,
    turns,
    mpps: spread(turns.map(({ mpps }) => mpps)),
    sentMpps: median(turns.map(({ sentMpps }) => sentMpps)),
    generatorCore: busy(GENERATOR_CORE),
    deviceCore: busy(DEVICE_CORE),
  };
}

/** Each device beside one of them, round by round. */
function figures(results: readonly DeviceResult[], { name, base }: Comparison, flows: number): Figure[] {
  const rates = ({ turns }: DeviceResult) => turns.map(({ mpps }) => mpps);
  const reference = results.find(({ device }) => device === base.name)!;
  return results
    .filter((result) => result !== reference)
    .map((result) => ({
      name: `${name} ${result.device} flows=${flows}`,
      of: `${result.title} / ${reference.title}`,
      lessIsBetter: false,
      ratio: ratios(rates(result), rates(reference)),
    }));
}

function show(results: readonly DeviceResult[], base: Device, all: readonly Figure[]): string {
  const percent = (share: number) => `${fixed(share * 100, 0)}%`;
  const range = (values: Spread) => `${fixed(values.median, 2)} (${fixed(values.min, 2)} to ${fixed(values.max, 2)})`;
  return table(
    ['', 'Mpps at the sink', 'sent', 'core 0', 'core 1', `/ ${base.title}`],
    results.map((result) => {
      const figure = all.find(({ name }) => name.split(' ')[1] === result.device);
      return [
        result.title,
        range(result.mpps),
        fixed(result.sentMpps, 2),
        percent(result.generatorCore),
        percent(result.deviceCore),
        figure ? range(figure.ratio) : '',
      ];
    }),
  );
}
