import type { NodeCounter, NodeInfo, Runtime, WorkerPauses } from '@lbd/control';
import { type GraphLayout, GraphStats, isKernel, type LinkedGraph, WORKER_FREE_COUNT } from '@lbd/graph';
import type { Memory } from '@lbd/memory';

interface Booked {
  readonly calls: number;
  readonly packets: number;
  readonly nanoseconds: number;
}

/** What the control plane needs of a worker for `show runtime`. */
export interface WorkerFigures {
  readonly breaths: number;
  readonly sleeps: number;
  readonly pauses: WorkerPauses;
  forgetLongest(): void;
}

/** Those of its figures that are counted from the last clear. */
type WorkerBase = Pick<WorkerFigures, 'breaths' | 'sleeps' | 'pauses'>;

/**
 * The graph as `show runtime`, `show errors` and `show node` have it. Workers write the counters; clearing them remembers
 * what they were, since another thread's words must not be written.
 */
export class GraphView {
  readonly #graph: LinkedGraph;
  readonly #layout: GraphLayout;
  readonly #memory: Memory;
  readonly #stats: GraphStats;
  readonly #workers: readonly WorkerFigures[];
  #runtimeBase: { since: number; nodes: Booked[][]; workers: WorkerBase[] };
  #counterBase: readonly bigint[] = [];

  constructor(memory: Memory, graph: LinkedGraph, layout: GraphLayout, workers: readonly WorkerFigures[]) {
    this.#memory = memory;
    this.#graph = graph;
    this.#layout = layout;
    this.#stats = new GraphStats(memory, graph, layout);
    this.#workers = workers;
    this.#runtimeBase = { since: performance.now(), nodes: [], workers: [] };
  }

  runtime(): Runtime {
    const { since, nodes, workers } = this.#runtimeBase;
    const seconds = (performance.now() - since) / 1000;
    return {
      workers: this.#layout.workers.map(({ block }, worker) => ({
        worker,
        seconds,
        breaths: this.#workers[worker]!.breaths - (workers[worker]?.breaths ?? 0),
        sleeps: this.#workers[worker]!.sleeps - (workers[worker]?.sleeps ?? 0),
        pauses: pausesSince(this.#workers[worker]!.pauses, workers[worker]?.pauses),
        freeBuffers: this.#memory.u32[(block + WORKER_FREE_COUNT) >>> 2]!,
        buffers: this.#layout.buffersPerWorker,
      })),
      nodes: this.#layout.workers.flatMap((_, worker) =>
        this.#stats.runtime(worker).map(({ node, calls, packets, nanoseconds, disabled }, i) => {
          const base = nodes[worker]?.[i] ?? { calls: 0, packets: 0, nanoseconds: 0 };
          const kind = this.#graph.nodes[i]!.declaration.kind;
          return {
            worker,
            name: node,
            state: disabled > 0 ? ('disabled' as const) : kind === 'input' ? ('polling' as const) : ('active' as const),
            calls: calls - base.calls,
            packets: packets - base.packets,
            nanoseconds: nanoseconds - base.nanoseconds,
          };
        }),
      ),
    };
  }

  clearRuntime(): void {
    this.#runtimeBase = {
      since: performance.now(),
      nodes: this.#layout.workers.map((_, worker) => this.#stats.runtime(worker)),
      workers: this.#workers.map(({ breaths, sleeps, pauses }) => ({ breaths, sleeps, pauses })),
    };
    for (const worker of this.#workers) worker.forgetLongest();
  }

  /** Pauses of each worker since the start. */
  pauses(): WorkerPauses[] {
    return this.#workers.map(({ pauses }) => pauses);
  }

  /** Every counter since the last clear. */
  errors(): NodeCounter[] {
    return this.counters().map((counter, i) => ({
      ...counter,
      count: Number(BigInt(counter.count) - (this.#counterBase[i] ?? 0n)),
    }));
  }

  /** Every counter since the start. */
  counters(): NodeCounter[] {
    return this.#stats
      .counters()
      .map(({ node, name, meaning, value }) => ({ node, name, meaning, count: Number(value) }));
  }

  clearErrors(): void {
    this.#counterBase = this.#stats.counters().map(({ value }) => value);
  }

  nodes(): NodeInfo[] {
    const { nodes } = this.#graph;
    const figures = this.#stats.runtime();
    const name = (index: number) => nodes[index]!.declaration.name;
    return nodes.map(({ declaration, index, nexts }) => ({
      name: declaration.name,
      kind: declaration.kind ?? 'internal',
      loop: isKernel(declaration.process) ? 'kernel' : 'function',
      next: nexts.map(name),
      previous: nodes.filter((other) => other.nexts.includes(index)).map((other) => other.declaration.name),
      counters: Object.entries(declaration.counters ?? {}).map(([counter, meaning]) => ({ name: counter, meaning })),
      disabled: figures[index]!.disabled,
    }));
  }
}

/** Pauses since a base. The worker itself forgets the longest. */
function pausesSince(pauses: WorkerPauses, base: WorkerPauses | undefined): WorkerPauses {
  const counts = pauses.counts.map((count, i) => count - (base?.counts[i] ?? 0));
  return { ...pauses, sum: pauses.sum - (base?.sum ?? 0), counts };
}
