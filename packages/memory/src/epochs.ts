import type { Arena, Memory } from './arena.ts';

/**
 * Quiescent-state reclamation. Each worker has one word: even while the worker sleeps, odd while it may hold references
 * into shared tables; it adds 2 between vectors, when it holds none. What the control plane has unpublished may be freed
 * once every worker was seen asleep or has moved on.
 *
 * Each word has a cache line to itself, so that workers do not share lines.
 */
const STRIDE = 64;

export class Epochs {
  readonly address: number;
  readonly #memory: Memory;
  readonly #workers: number;

  constructor(arena: Arena, workers: number) {
    this.address = arena.allocate('epochs', workers * STRIDE);
    this.#memory = arena.memory;
    this.#workers = workers;
  }

  /** Address of worker `index`'s word, for its {@link WorkerEpoch}. */
  word(index: number): number {
    return this.address + index * STRIDE;
  }

  /** Resolves when every worker has passed a quiescent point after this call. */
  async quiescent(): Promise<void> {
    const words = Array.from({ length: this.#workers }, (_, i) => this.word(i) >>> 2);
    const before = words.map((at) => Atomics.load(this.#memory.i32, at));
    for (let i = 0; i < words.length; i++) {
      const at = words[i]!;
      const seen = before[i]!;
      while ((seen & 1) === 1 && Atomics.load(this.#memory.i32, at) === seen) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }
}

/** A worker's side of {@link Epochs}. */
export class WorkerEpoch {
  readonly #words: Int32Array;
  readonly #at: number;

  constructor(memory: Memory, address: number) {
    this.#words = memory.i32;
    this.#at = address >>> 2;
  }

  /** The worker starts to use shared tables. */
  online(): void {
    Atomics.add(this.#words, this.#at, 1);
  }

  /** The worker holds no reference now, and goes on. */
  tick(): void {
    Atomics.add(this.#words, this.#at, 2);
  }

  /** The worker holds no reference, and will hold none until {@link online}. */
  offline(): void {
    Atomics.add(this.#words, this.#at, 1);
  }
}
