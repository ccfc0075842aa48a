import { fib4 } from './fib4.ts';
import { newFlowTable } from './new-flow-table.ts';
import { newFlows } from './new-flows.ts';
import { sticky } from './sticky.ts';
import { vips } from './vips.ts';

/** One figure of a measurement. */
export interface Value {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** Something that is measured at half and at full size. */
export interface Measure {
  readonly name: string;
  readonly title: string;
  /** What there is so many of. */
  readonly what: string;
  readonly full: number;
  readonly run: (size: number) => Promise<Value[]>;
}

export const MEASURES: readonly Measure[] = [
  { name: 'vips', title: 'VIPs with 100 ASs each', what: 'VIPs', full: 10_000, run: vips },
  { name: 'new-flow-table', title: 'a new-flow table of 65,536 slots', what: 'ASs', full: 1000, run: newFlowTable },
  { name: 'fib4', title: 'an IPv4 FIB as long as the Internet’s', what: 'prefixes', full: 1_000_000, run: fib4 },
  { name: 'sticky', title: 'a sticky table, a bucket for each flow', what: 'flows', full: 1 << 24, run: sticky },
  { name: 'new-flows', title: 'new flows, nat4', what: 'flows', full: 1 << 22, run: newFlows },
];
