import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Figure } from '../report.ts';
import { inTurn, median, ratios, type Spread } from '../statistics.ts';
import { fixed, table } from '../table.ts';
import { MEASURES, type Measure, type Value } from './measures.ts';

export interface ScaleOptions {
  /** Names of measurements; all unless told. */
  readonly only?: readonly string[] | undefined;
  readonly rounds: number;
  /** Part of the full sizes, for a quick look and for tests: 1 / shrink. */
  readonly shrink?: number;
}

/** A figure at half and at full size. */
export interface ScaleResult {
  readonly measure: string;
  readonly name: string;
  readonly unit: string;
  readonly half: readonly number[];
  readonly full: readonly number[];
  /** Full size over half size, round by round: 1 is flat, 2 is linear. */
  readonly growth: Spread;
}

const program = fileURLToPath(new URL('../../dist/scale/run.js', import.meta.url));

/** Measures big configurations and tables at half and at full size, in turn, each in a process of its own. */
export async function scaleBench(options: ScaleOptions, print: (text: string) => void) {
  const measures = MEASURES.filter(({ name }) => options.only?.includes(name) ?? true);
  const results: ScaleResult[] = [];
  for (const measure of measures) {
    const full = measure.full / (options.shrink ?? 1);
    const [small, large] = await inTurn(
      options.rounds,
      () => run(measure, full / 2),
      () => run(measure, full),
    );
    const here = small![0]!.map(({ name, unit }, i): ScaleResult => {
      const half = small!.map((values) => values[i]!.value);
      const whole = large!.map((values) => values[i]!.value);
      return { measure: measure.name, name, unit, half, full: whole, growth: ratios(whole, half) };
    });
    results.push(...here);
    print(`\n${measure.title}: medians of ${options.rounds} rounds\n`);
    print(show(here, measure, full));
  }
  return { results, figures: results.map(figureOf) };
}

async function run({ name }: Measure, size: number): Promise<Value[]> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, name, String(size)]);
  return JSON.parse(stdout) as Value[];
}

function figureOf({ measure, name, growth }: ScaleResult): Figure {
  return { name: `scale ${measure}: ${name}`, of: 'full / half size', lessIsBetter: true, ratio: growth };
}

function show(results: readonly ScaleResult[], { what }: Measure, full: number): string {
  const number = (n: number) => n.toLocaleString('en-US');
  const shown = (values: readonly number[], unit: string) => {
    const value = median(values);
    return `${fixed(value, Math.abs(value) < 10 ? 2 : 0)} ${unit}`;
  };
  return table(
    ['', `${number(full / 2)} ${what}`, `${number(full)} ${what}`, 'growth (1 flat, 2 linear)'],
    results.map(({ name, unit, half, full: whole, growth }) => [
      name,
      shown(half, unit),
      shown(whole, unit),
      `${fixed(growth.median, 2)} (${fixed(growth.min, 2)} to ${fixed(growth.max, 2)})`,
    ]),
  );
}
