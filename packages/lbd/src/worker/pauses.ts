import type { Memory } from '@lbd/memory';
import { PAUSE_BUCKETS, STATUS_FORGETS, STATUS_LONGEST, STATUS_PAUSED, STATUS_PAUSES } from './messages.ts';

/**
 * How long packets may have waited for a worker: the time from the beginning of one breath to that of the next, unless it slept
 * between, by powers of two. Bucket 0 is for less than a microsecond, bucket k for 2^(k-1) to 2^k microseconds, the last for all
 * longer ones. The numbers are in the worker's status block, for the main thread; nothing is allocated.
 */
export class Pauses {
  readonly #memory: Memory;
  readonly #time: Float64Array;
  /** When the last breath began, milliseconds; in the future if there is none to count from. */
  readonly #last = Float64Array.of(Number.POSITIVE_INFINITY);
  readonly #first: number;
  readonly #longest: number;
  readonly #sum: number;
  readonly #forgets: number;
  #forgotten = 0;

  /** @param time one element: when the breath began that is to be counted */
  constructor(memory: Memory, status: number, time: Float64Array) {
    this.#memory = memory;
    this.#time = time;
    this.#first = (status + STATUS_PAUSES) >>> 3;
    this.#longest = (status + STATUS_LONGEST) >>> 3;
    this.#sum = (status + STATUS_PAUSED) >>> 3;
    this.#forgets = (status + STATUS_FORGETS) >>> 2;
  }

  /** A breath has begun. */
  breath(): void {
    const { f64, i32 } = this.#memory;
    const pause = this.#time[0]! - this.#last[0]!;
    this.#last[0] = this.#time[0]!;
    if (i32[this.#forgets] !== this.#forgotten) {
      this.#forgotten = i32[this.#forgets]!;
      f64[this.#longest] = 0;
    }
    if (pause < 0) return;
    f64[this.#first + bucketOf(pause * 1000)]! += 1;
    f64[this.#sum]! += pause;
    if (pause > f64[this.#longest]!) f64[this.#longest] = pause;
  }

  /** The worker sleeps, and nobody waits for it: the time until the next breath is no pause. */
  slept(): void {
    this.#last[0] = Number.POSITIVE_INFINITY;
  }
}

function bucketOf(microseconds: number): number {
  return microseconds < 1 ? 0 : Math.min(32 - Math.clz32(microseconds), PAUSE_BUCKETS - 1);
}
