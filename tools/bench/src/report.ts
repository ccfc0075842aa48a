import { readFile, writeFile } from 'node:fs/promises';
import { cpus, release } from 'node:os';
import type { Spread } from './statistics.ts';
import { fixed, table } from './table.ts';

/** One figure of a run that a later run can be held against. */
export interface Figure {
  /** What was measured, e.g. `memory nat4 flows=16384`. */
  readonly name: string;
  /** The quotient that is quoted: what it is of, e.g. `lbd / C reference`. */
  readonly of: string;
  /** True if less is better. */
  readonly lessIsBetter: boolean;
  readonly ratio: Spread;
}

/** What a run writes with --json. */
export interface Report {
  readonly date: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly kernel: string; readonly node: string };
  readonly figures: readonly Figure[];
  /** All that was measured, by benchmark. */
  readonly details: Readonly<Record<string, unknown>>;
}

export function makeReport(figures: readonly Figure[], details: Readonly<Record<string, unknown>>): Report {
  const processors = cpus();
  return {
    date: new Date().toISOString(),
    machine: {
      cpu: processors[0]?.model ?? 'unknown',
      cores: processors.length,
      kernel: release(),
      node: process.version,
    },
    figures,
    details,
  };
}

export async function writeReport(path: string, report: Report): Promise<void> {
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
}

/** @throws Error if the file is not what --json wrote */
export async function readReport(path: string): Promise<Report> {
  const report = JSON.parse(await readFile(path, 'utf8')) as Partial<Report>;
  if (!Array.isArray(report.figures)) throw new Error(`${path}: not a report of the benchmarks (it has no figures)`);
  return report as Report;
}

/**
 * A table of what changed. A change counts only where the two runs' ranges of pairs do not touch: anything less is the
 * machine's noise.
 */
export function compare(before: Report, now: Report): string {
  const rows = now.figures.map((figure) => {
    const old = before.figures.find(({ name, of }) => name === figure.name && of === figure.of);
    const shown = fixed(figure.ratio.median, 2);
    if (!old) return [figure.name, figure.of, '-', shown, '', 'new'];
    const change = figure.ratio.median / old.ratio.median - 1;
    const percent = `${change >= 0 ? '+' : ''}${fixed(change * 100)}%`;
    return [figure.name, figure.of, fixed(old.ratio.median, 2), shown, percent, verdict(old, figure)];
  });
  return table(['figure', 'of', 'before', 'now', 'change', ''], rows);
}

function verdict(old: Figure, now: Figure): string {
  const grown = now.ratio.min > old.ratio.max;
  const shrunk = now.ratio.max < old.ratio.min;
  if (!grown && !shrunk) return 'same within noise';
  return shrunk === now.lessIsBetter ? 'better' : 'worse';
}
