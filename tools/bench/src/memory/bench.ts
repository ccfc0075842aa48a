import type { Figure } from '../report.ts';
import { inTurn, median, ratios, type Spread, spread } from '../statistics.ts';
import { fixed, table } from '../table.ts';
import { GraphPath, type GraphTurn } from './graph-path.ts';
import { buildNat4Path } from './nat4-path.ts';
import { ReferencePath, type Turn } from './reference.ts';

export interface MemoryOptions {
  /** Powers of two. */
  readonly flows: readonly number[];
  readonly pairs: number;
  /** Of each measurement. */
  readonly milliseconds: number;
}

/** What was measured at one number of flows. */
export interface MemoryResult {
  readonly flows: number;
  readonly pairs: ReadonlyArray<{ readonly reference: Turn; readonly graph: Turn }>;
  readonly reference: Spread;
  readonly graph: Spread;
  readonly ratio: Spread;
  /** Medians over the turns, in the order of the packets' way. */
  readonly nodes: ReadonlyArray<{ readonly node: string; readonly ns: number; readonly packetsPerCall: number }>;
}

const OF = 'lbd / C reference';

/** The NAT4 forward path in memory, in turn with the C reference. */
export async function memoryBench(options: MemoryOptions, print: (text: string) => void) {
  const results: MemoryResult[] = [];
  for (const flows of options.flows) {
    const result = await measure(flows, options);
    results.push(result);
    print(`\nnat4, ${flows} ${flows === 1 ? 'flow' : 'flows'}: ns per packet, by node\n`);
    print(nodeTable(result));
  }
  print('\nnat4 forward path in memory: ns per packet without the generator, median (least to most)\n');
  print(summary(results));
  const figures = results.map(
    ({ flows, ratio }): Figure => ({ name: `memory nat4 flows=${flows}`, of: OF, lessIsBetter: true, ratio }),
  );
  return { figures, results };
}

async function measure(flows: number, { pairs, milliseconds }: MemoryOptions): Promise<MemoryResult> {
  const reference = await ReferencePath.start('nat4', flows);
  try {
    const graph = await GraphPath.create(flows, buildNat4Path(flows));
    const [theirs, ours] = (await inTurn<Turn>(
      pairs,
      () => reference.turn(milliseconds),
      () => graph.turn(milliseconds),
    )) as [Turn[], GraphTurn[]];
    const ns = (turns: readonly Turn[]) => turns.map((turn) => turn.ns);
    return {
      flows,
      pairs: theirs.map((turn, i) => ({
        reference: turn,
        graph: { ns: ours[i]!.ns, generatorNs: ours[i]!.generatorNs },
      })),
      reference: spread(ns(theirs)),
      graph: spread(ns(ours)),
      ratio: ratios(ns(ours), ns(theirs)),
      nodes: medianNodes(ours),
    };
  } finally {
    await reference.stop();
  }
}

function medianNodes(turns: readonly GraphTurn[]): MemoryResult['nodes'] {
  return turns[0]!.nodes.map(({ node }) => {
    const costs = turns.flatMap(({ nodes }) => nodes.filter((cost) => cost.node === node));
    return {
      node,
      ns: median(costs.map((cost) => cost.ns)),
      packetsPerCall: median(costs.map((cost) => cost.packetsPerCall)),
    };
  });
}

function nodeTable({ nodes }: MemoryResult): string {
  return table(
    ['node', 'ns', 'packets/call'],
    nodes.map(({ node, ns, packetsPerCall }) => [node, fixed(ns), fixed(packetsPerCall)]),
  );
}

function summary(results: readonly MemoryResult[]): string {
  const shown = (values: Spread, digits: number) =>
    `${fixed(values.median, digits)} (${fixed(values.min, digits)} to ${fixed(values.max, digits)})`;
  return table(
    ['flows', 'C reference', 'lbd', 'lbd / C'],
    results.map((r) => [String(r.flows), shown(r.reference, 1), shown(r.graph, 1), shown(r.ratio, 2)]),
  );
}
