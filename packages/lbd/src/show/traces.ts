import type { PacketTrace } from '@lbd/control';
import type { Trace } from '@lbd/graph';

/** Traces kept; the oldest go first. */
const MOST = 1000;

/** The traces that workers have sent. */
export class Traces {
  readonly #start: number;
  #kept: PacketTrace[] = [];

  /** @param start milliseconds of the workers' clock, from which times are told */
  constructor(start: number) {
    this.#start = start;
  }

  add(traces: readonly Trace[]): void {
    for (const { worker, at, steps } of traces) this.#kept.push({ worker, milliseconds: at - this.#start, steps });
    this.#kept = this.#kept.slice(-MOST);
  }

  /** In the order in which packets came in. */
  list(): readonly PacketTrace[] {
    return this.#kept.toSorted((a, b) => a.milliseconds - b.milliseconds);
  }

  clear(): void {
    this.#kept = [];
  }
}
