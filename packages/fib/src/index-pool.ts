import { FibError } from './errors.ts';

/** Hands out indices from 0 to capacity - 1, lowest first while none has come back. */
export class IndexPool {
  readonly #what: string;
  readonly #capacity: number;
  readonly #free: number[] = [];
  #next = 0;

  constructor(what: string, capacity: number) {
    this.#what = what;
    this.#capacity = capacity;
  }

  /** @throws FibError if all are taken */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#next === this.#capacity) {
      throw new FibError('LBD_FIB_FULL', `all ${this.#capacity} ${this.#what} are in use`);
    }
    return this.#next++;
  }

  give(index: number): void {
    this.#free.push(index);
  }
}
