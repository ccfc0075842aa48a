/** What {@link Reclaimer} needs of `Epochs`. */
export interface Quiescence {
  quiescent(): Promise<void>;
}

/**
 * Frees what the control plane has unpublished, once no worker can hold a reference to it. Many pieces share one wait.
 */
export class Reclaimer {
  readonly #epochs: Quiescence | undefined;
  #waiting: (() => void)[] = [];
  #running: Promise<void> | undefined;

  /** @param epochs of the workers; without, there are no concurrent readers and pieces are freed at once */
  constructor(epochs?: Quiescence) {
    this.#epochs = epochs;
  }

  /** Calls `free` after every worker has passed a quiescent point. */
  defer(free: () => void): void {
    if (!this.#epochs) {
      free();
      return;
    }
    this.#waiting.push(free);
    this.#running ??= this.#run(this.#epochs);
  }

  /** Resolves when all that was deferred is freed. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(epochs: Quiescence): Promise<void> {
    // pieces deferred in the same turn as the first one are unpublished by then: one wait serves them all
    await Promise.resolve();
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting;
        this.#waiting = [];
        await epochs.quiescent();
        for (const free of batch) free();
      }
    } finally {
      this.#running = undefined;
    }
  }
}
