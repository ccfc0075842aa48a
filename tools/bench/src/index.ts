import { latencyBench } from './latency/bench.ts';
import { memoryBench } from './memory/bench.ts';
import { parseOptions, USAGE } from './options.ts';
import { compare, type Figure, makeReport, readReport, writeReport } from './report.ts';
import { scaleBench } from './scale/bench.ts';
import { vethBench } from './veth/bench.ts';
import { ONE_QUEUE, TWO_QUEUES } from './veth/devices.ts';

const DEFAULT_VETH_FLOWS = [1 << 14];
const DEFAULT_ROUNDS = 7;
const DEFAULT_SCALE_ROUNDS = 3;
const DEFAULT_FLOWS = [1, 1 << 14, 1 << 20];

async function main(argv: readonly string[]): Promise<void> {
  const print = (text: string) => console.log(text);
  const options = parseOptions(argv);
  if (options === 'help') return print(USAGE);
  // Read first: a wrong name should not cost a run.
  const before = options.against === undefined ? undefined : await readReport(options.against);
  const figures: Figure[] = [];
  const details: Record<string, unknown> = {};
  if (options.benchmarks.has('memory')) {
    const measured = await memoryBench(
      {
        cases: options.cases,
        flows: options.flows ?? DEFAULT_FLOWS,
        pairs: options.rounds ?? DEFAULT_ROUNDS,
        milliseconds: options.milliseconds ?? 1000,
      },
      print,
    );
    figures.push(...measured.figures);
    details.memory = measured.results;
  }
  for (const comparison of [ONE_QUEUE, TWO_QUEUES]) {
    if (!options.benchmarks.has(comparison.name)) continue;
    for (const flows of options.flows ?? DEFAULT_VETH_FLOWS) {
      const { rounds = DEFAULT_ROUNDS, milliseconds = 2000 } = options;
      const measured = await vethBench(comparison, { flows, rounds, milliseconds }, print);
      if (!measured) break;
      figures.push(...measured.figures);
      details[`${comparison.name} flows=${flows}`] = measured.results;
    }
  }
  if (options.benchmarks.has('scale')) {
    const measured = await scaleBench({ only: options.scales, rounds: options.rounds ?? DEFAULT_SCALE_ROUNDS }, print);
    figures.push(...measured.figures);
    details.scale = measured.results;
  }
  if (options.benchmarks.has('latency')) {
    const { rounds = DEFAULT_ROUNDS, milliseconds = 1000 } = options;
    const measured = await latencyBench({ rounds, milliseconds }, print);
    if (measured) {
      figures.push(...measured.figures);
      details.latency = measured.results;
    }
  }
  const report = makeReport(figures, details);
  if (options.json !== undefined) await writeReport(options.json, report);
  if (before) print(`\nagainst ${options.against}\n\n${compare(before, report)}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const { code } = error as { code?: unknown };
  console.error(String(code).startsWith('LBD_') ? `bench: ${(error as Error).message}` : error);
  process.exitCode = 1;
}
