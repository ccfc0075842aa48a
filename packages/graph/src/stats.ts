import type { Memory } from '@lbd/memory';
import type { LinkedGraph } from './graph.ts';
import { type GraphLayout, STATS_BYTES } from './graph-memory.ts';

/** What a node has done, in one worker or in all together. */
export interface NodeStats {
  readonly node: string;
  readonly calls: number;
  readonly packets: number;
  readonly nanoseconds: number;
  /** In how many workers it is disabled, since it trapped again and again. */
  readonly disabled: number;
}

/** A counter's value. */
export interface CounterValue {
  readonly node: string;
  readonly name: string;
  readonly meaning: string;
  readonly value: bigint;
}

/** Reads what workers count; any thread may, at any time. Values of different counters are not of one instant. */
export class GraphStats {
  readonly #memory: Memory;
  readonly #graph: LinkedGraph;
  readonly #layout: GraphLayout;

  constructor(memory: Memory, graph: LinkedGraph, layout: GraphLayout) {
    this.#memory = memory;
    this.#graph = graph;
    this.#layout = layout;
  }

  /** Statistics by node in graph order, of one worker or summed. */
  runtime(worker?: number): NodeStats[] {
    const workers = this.#workers(worker);
    return this.#graph.nodes.map(({ declaration, index }) => {
      const sum = (offset: number) =>
        workers.reduce((n, { stats }) => n + this.#memory.f64[((stats + index * STATS_BYTES) >>> 3) + offset]!, 0);
      return { node: declaration.name, calls: sum(0), packets: sum(1), nanoseconds: sum(2), disabled: sum(3) };
    });
  }

  /** All counters, of one worker or summed. */
  counters(worker?: number): CounterValue[] {
    const workers = this.#workers(worker);
    return this.#graph.counters.map((counter, index) => ({
      ...counter,
      value: workers.reduce((n, { counters }) => n + Atomics.load(this.#memory.u64, (counters >>> 3) + index), 0n),
    }));
  }

  #workers(worker?: number) {
    return worker === undefined ? this.#layout.workers : [this.#layout.workers[worker]!];
  }
}
