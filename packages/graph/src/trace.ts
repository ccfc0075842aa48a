/** What one node said of one traced packet. */
export interface TraceStep {
  readonly node: string;
  /** The node's own words; empty if it declares no trace. */
  readonly text: string;
}

/** A traced packet's way. */
export interface Trace {
  readonly worker: number;
  /** Milliseconds of the worker's clock when the packet came in. */
  readonly at: number;
  readonly steps: readonly TraceStep[];
}

/** Follows the packets that carry FLAG_TRACED in one worker. */
export class Tracer {
  #wanted = 0;
  #done: Trace[] = [];
  readonly #underWay = new Map<number, { at: number; steps: TraceStep[] }>();

  /** Traces the next `n` packets that come in. */
  add(n: number): void {
    this.#wanted += n;
  }

  /** Packets still to be picked. */
  get wanted(): number {
    return this.#wanted;
  }

  /** True while there is anything to do: the runtime skips all tracing otherwise. */
  get active(): boolean {
    return this.#wanted > 0 || this.#underWay.size > 0;
  }

  /** Picks a packet that just came in, if one is wanted. */
  pick(buffer: number, at: number): boolean {
    if (this.#wanted === 0) return false;
    this.#wanted--;
    this.#underWay.set(buffer, { at, steps: [] });
    return true;
  }

  step(buffer: number, node: string, text: string): void {
    this.#underWay.get(buffer)?.steps.push({ node, text });
  }

  /** The packet has left the graph. */
  end(buffer: number, worker: number): void {
    const trace = this.#underWay.get(buffer);
    if (!trace) return;
    this.#underWay.delete(buffer);
    this.#done.push({ worker, ...trace });
  }

  /** Hands over the traces that are complete. */
  take(): Trace[] {
    const done = this.#done;
    if (done.length > 0) this.#done = [];
    return done;
  }
}

/** Formats a trace as `show trace` prints it. */
export function formatTrace(trace: Trace, number: number): string {
  const head = `Packet ${number} (worker ${trace.worker}, ${(trace.at / 1000).toFixed(3)} s)`;
  const steps = trace.steps.map(({ node, text }) => {
    const lines = text === '' ? [] : text.split('\n').map((line) => `    ${line}`);
    return [`  ${node}`, ...lines].join('\n');
  });
  return [head, ...steps].join('\n');
}
