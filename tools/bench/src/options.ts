import { parseArgs } from 'node:util';
import { CASES } from './memory/cases.ts';
import { MEASURES } from './scale/measures.ts';

export const BENCHMARKS = ['memory', 'veth', 'veth2', 'scale', 'latency'] as const;
export type Benchmark = (typeof BENCHMARKS)[number];

export interface Options {
  readonly benchmarks: ReadonlySet<Benchmark>;
  /** Ways through the graph in memory. */
  readonly cases: readonly string[] | undefined;
  /** Measurements of `scale`. */
  readonly scales: readonly string[] | undefined;
  readonly flows: readonly number[] | undefined;
  readonly rounds: number | undefined;
  /** Length of one measurement. */
  readonly milliseconds: number | undefined;
  readonly json: string | undefined;
  readonly against: string | undefined;
}

export const USAGE = `npm run bench -- [memory] [veth] [veth2] [scale] [latency] [options]

  memory           the graph in memory, in turn with the C reference
  veth             lbd, kernel forwarding and nftables over veth (needs root)
  veth2            the same with two queues, and all on the same two cores (needs root)
  scale            big configurations and tables, at half and at full size
  latency          a round trip over veth at low load, in turn with others (needs root)
                   None named: memory and veth.
  --cases <name,...>  ways through the graph in memory (all): ${CASES.map(({ name }) => name).join(' ')}
  --scales <name,...> measurements of scale (all): ${MEASURES.map(({ name }) => name).join(' ')}
  --flows <n,...>  numbers of flows, powers of two (memory: 1,16384,1048576; veth: 16384)
  --rounds <n>     rounds of measurements in turn (7; scale: 3)
  --ms <n>         length of one measurement in milliseconds (memory: 1000; veth: 2000)
  --json <file>    write all that was measured
  --against <file> compare with what an earlier run wrote
`;

export class UsageError extends Error {
  readonly code = 'LBD_BENCH_USAGE';
}

/** @throws UsageError that says what is wrong */
export function parseOptions(argv: readonly string[]): Options | 'help' {
  const { values, positionals } = parse(argv);
  if (values.help) return 'help';
  for (const name of positionals) {
    if (!(BENCHMARKS as readonly string[]).includes(name)) {
      throw new UsageError(`benchmark ${name}: there are ${BENCHMARKS.join(', ')}`);
    }
  }
  return {
    benchmarks: new Set(positionals.length > 0 ? (positionals as Benchmark[]) : ['memory', 'veth']),
    cases: values.cases?.split(',').map((name) => known('--cases', name, CASES)),
    scales: values.scales?.split(',').map((name) => known('--scales', name, MEASURES)),
    flows: values.flows?.split(',').map(flowCount),
    rounds: values.rounds === undefined ? undefined : positive('--rounds', values.rounds),
    milliseconds: values.ms === undefined ? undefined : positive('--ms', values.ms),
    json: values.json,
    against: values.against,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        cases: { type: 'string' },
        scales: { type: 'string' },
        flows: { type: 'string' },
        rounds: { type: 'string' },
        ms: { type: 'string' },
        json: { type: 'string' },
        against: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function positive(option: string, text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new UsageError(`${option} ${text}: must be a whole number, 1 or more`);
  return n;
}

function known(option: string, name: string, all: ReadonlyArray<{ readonly name: string }>): string {
  const names = all.map((one) => one.name);
  if (!names.includes(name)) throw new UsageError(`${option} ${name}: there are ${names.join(', ')}`);
  return name;
}

const MAX_FLOWS = 1 << 22;

function flowCount(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1 || n > MAX_FLOWS || (n & (n - 1)) !== 0) {
    throw new UsageError(`--flows ${text}: must be a power of two, 1 to ${MAX_FLOWS}`);
  }
  return n;
}
