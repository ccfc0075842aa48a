import { WORKER_FREE, WORKER_FREE_COUNT } from './layout.ts';

/** A worker's free buffers, for input and output nodes in TypeScript; only that worker may use it. */
export class FreeStack {
  readonly #u32: Uint32Array;
  readonly #stack: number;
  readonly #countAt: number;

  /** @param worker address of the worker block */
  constructor(u32: Uint32Array, worker: number) {
    this.#u32 = u32;
    this.#stack = u32[(worker + WORKER_FREE) >>> 2]! >>> 2;
    this.#countAt = (worker + WORKER_FREE_COUNT) >>> 2;
  }

  get count(): number {
    return this.#u32[this.#countAt]!;
  }
  /** Takes a buffer; there must be one (see count). */
  pop(): number {
    const n = this.#u32[this.#countAt]! - 1;
    this.#u32[this.#countAt] = n;
    return this.#u32[this.#stack + n]!;
  }
  /** Gives back a buffer that the worker owns. */
  push(buffer: number): void {
    const n = this.#u32[this.#countAt]!;
    this.#u32[this.#stack + n] = buffer;
    this.#u32[this.#countAt] = n + 1;
  }
}
