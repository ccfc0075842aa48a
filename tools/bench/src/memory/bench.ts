import type { Figure } from '../report.ts';
import { inTurn, median, ratios, type Spread, spread } from '../statistics.ts';
import { fixed, table } from '../table.ts';
import { CASES, type Case } from './cases.ts';
import { GraphPath, type GraphTurn } from './graph-path.ts';
import { ReferencePath, type Turn } from './reference.ts';

/** Part of the flows that ends each second, in the measurement with new flows. */
const RENEWED = 0.1;

export interface MemoryOptions {
  /** Names of cases; all unless told. */
  readonly cases?: readonly string[] | undefined;
  /** Powers of two. */
  readonly flows: readonly number[];
  readonly pairs: number;
  /** Of each measurement. */
  readonly milliseconds: number;
}

/** What was measured of a case at one number of flows. Times are nanoseconds per packet. */
export interface MemoryResult {
  readonly name: string;
  readonly flows: number;
  /** Which path of the C reference. */
  readonly of: string;
  readonly reference: Spread;
  readonly graph: Spread;
  readonly ratio: Spread;
  /** With a tenth of the flows new each second. */
  readonly renewed: Spread;
  readonly renewedRatio: Spread;
  /** Medians over the turns, in the order of the packets' way. */
  readonly nodes: ReadonlyArray<{ readonly node: string; readonly ns: number; readonly packetsPerCall: number }>;
  /** What is in no node: the runtime's own dispatch. */
  readonly dispatch: number;
}

/** Ways of packets through the graph in memory, in turn with the C reference. */
export async function memoryBench(options: MemoryOptions, print: (text: string) => void) {
  const results: MemoryResult[] = [];
  for (const of of chosen(options.cases)) {
    for (const flows of options.flows) {
      // Each VIP has a flow at least.
      if (flows < (of.vips ?? 1)) continue;
      const result = await measure(of, flows, options);
      results.push(result);
      print(`\n${of.name}, ${flows} ${flows === 1 ? 'flow' : 'flows'}: ns per packet, by node\n`);
      print(nodeTable(result));
    }
  }
  print('\nin memory: ns per packet without the generator, median (least to most)\n');
  print(summary(results));
  return { figures: results.flatMap(figuresOf), results };
}

function chosen(names: readonly string[] | undefined): readonly Case[] {
  return names === undefined ? CASES : CASES.filter(({ name }) => names.includes(name));
}

async function measure(of: Case, flows: number, { pairs, milliseconds }: MemoryOptions): Promise<MemoryResult> {
  const reference = await ReferencePath.start(of.reference, flows);
  try {
    const graph = await GraphPath.create(of, flows);
    const [theirs, ours, renewed] = (await inTurn<Turn>(
      pairs,
      () => reference.turn(milliseconds),
      () => graph.turn(milliseconds),
      // A reply begins no flow.
      ...(of.reply ? [] : [() => graph.turn(milliseconds, RENEWED)]),
    )) as [Turn[], GraphTurn[], GraphTurn[]?];
    const ns = (turns: readonly Turn[]) => turns.map((turn) => turn.ns);
    const nodes = medianNodes(ours);
    const whole = median(ours.map((turn) => turn.ns + turn.generatorNs));
    return {
      name: of.name,
      flows,
      of: of.reference,
      reference: spread(ns(theirs)),
      graph: spread(ns(ours)),
      ratio: ratios(ns(ours), ns(theirs)),
      renewed: spread(ns(renewed ?? ours)),
      renewedRatio: ratios(ns(renewed ?? ours), ns(theirs)),
      nodes,
      dispatch: whole - nodes.reduce((sum, node) => sum + node.ns, 0),
    };
  } finally {
    await reference.stop();
  }
}

function figuresOf({ name, flows, of, ratio, renewedRatio }: MemoryResult): Figure[] {
  const figure = (more: string, quotient: Spread): Figure => ({
    name: `memory ${name} flows=${flows}${more}`,
    of: `lbd / C reference ${of}`,
    lessIsBetter: true,
    ratio: quotient,
  });
  return [figure('', ratio), ...(name.endsWith('-reply') ? [] : [figure(' new=10%', renewedRatio)])];
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

function nodeTable({ nodes, dispatch }: MemoryResult): string {
  const rows = nodes
    .filter(({ ns }) => ns >= 0.05)
    .map(({ node, ns, packetsPerCall }) => [node, fixed(ns), fixed(packetsPerCall)]);
  return table(['node', 'ns', 'packets/call'], [...rows, ['(dispatch)', fixed(dispatch), '']]);
}

function summary(results: readonly MemoryResult[]): string {
  const shown = (values: Spread, digits: number) =>
    `${fixed(values.median, digits)} (${fixed(values.min, digits)} to ${fixed(values.max, digits)})`;
  return table(
    ['case', 'flows', 'C', 'C reference', 'lbd', 'lbd / C', '10% new / C'],
    results.map((r) => [
      r.name,
      String(r.flows),
      r.of,
      shown(r.reference, 1),
      shown(r.graph, 1),
      shown(r.ratio, 2),
      r.name.endsWith('-reply') ? '' : shown(r.renewedRatio, 2),
    ]),
  );
}
