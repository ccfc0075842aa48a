import {
  allocateGraph,
  compileKernels,
  type Graph,
  type GraphLayout,
  GraphStats,
  type LinkedGraph,
  Runtime,
} from '@lbd/graph';
import type { Arena } from '@lbd/memory';
import { clockReader } from '@lbd/native';
import type { Pool } from './nodes.ts';

/** What a node took: nanoseconds per packet that came in, and packets each time it was called. */
export interface NodeCost {
  readonly node: string;
  readonly ns: number;
  readonly packetsPerCall: number;
}

/** Buffers of a benchmark's worker: those of the C reference, about what a driver's rings hold. */
export const BUFFERS = 4096;

const BREATHS = 64;

/** A graph from a generator to a sink, in this thread. */
export class Rig {
  readonly layout: GraphLayout;
  readonly graph: LinkedGraph;
  readonly #runtime: Runtime;
  readonly #stats: GraphStats;
  readonly #pool: Pool;

  private constructor(graph: LinkedGraph, layout: GraphLayout, runtime: Runtime, stats: GraphStats, pool: Pool) {
    this.graph = graph;
    this.layout = layout;
    this.#runtime = runtime;
    this.#stats = stats;
    this.#pool = pool;
  }

  static async create(arena: Arena, graph: Graph, pool: Pool): Promise<Rig> {
    const linked = graph.link();
    const layout = allocateGraph(arena, linked, { workers: 1, buffersPerWorker: BUFFERS });
    const ms = new Float64Array(1);
    const clock = { ms, read: clockReader(ms) };
    const runtime = new Runtime(arena.memory, linked, layout, 0, await compileKernels(linked), { clock });
    return new Rig(linked, layout, runtime, new GraphStats(arena.memory, linked, layout), pool);
  }

  /** Breathes for at least so long. Returns nanoseconds per packet. @throws Error if a packet did not reach the sink */
  run(milliseconds: number): number {
    const start = performance.now();
    this.#pool.takeReceived();
    let packets = 0;
    let now: number;
    do {
      for (let i = 0; i < BREATHS; i++) packets += this.#runtime.breathe();
      now = performance.now();
    } while (now - start < milliseconds);
    this.#mustHave(packets);
    return ((now - start) * 1e6) / packets;
  }

  /** Breathes until so many packets came in. */
  pass(packets: number): void {
    this.#pool.takeReceived();
    let n = 0;
    while (n < packets) n += this.#runtime.breathe();
    this.#mustHave(n);
  }

  /** What each node cost while `work` ran. */
  profile(work: () => void): NodeCost[] {
    const before = this.#stats.runtime();
    work();
    const spent = this.#stats.runtime().map((after, i) => ({
      node: after.node,
      calls: after.calls - before[i]!.calls,
      packets: after.packets - before[i]!.packets,
      nanoseconds: after.nanoseconds - before[i]!.nanoseconds,
    }));
    const came = spent.find(({ node }) => node === 'bench-generator')!.packets;
    return spent
      .filter(({ calls }) => calls > 0)
      .map(({ node, calls, packets, nanoseconds }) => ({
        node,
        ns: nanoseconds / came,
        packetsPerCall: packets / calls,
      }));
  }

  #mustHave(packets: number): void {
    const received = this.#pool.takeReceived();
    if (received === packets >>> 0) return;
    const drops = this.#stats
      .counters()
      .filter(({ value }) => value > 0n)
      .map(({ node, name, value }) => `${node}: ${name} ${value}`);
    throw new Error(`${packets} packets went in and ${received} came out; counters: ${drops.join(', ') || 'none'}`);
  }
}
