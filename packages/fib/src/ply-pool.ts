import type { Arena } from '@lbd/memory';
import * as L from './layout.ts';

const CHUNK_PLIES = 256;

/** The plies of an mtrie: taken from the arena in chunks, and kept for reuse. */
export class PlyPool {
  readonly #arena: Arena;
  readonly #free: number[] = [];
  #chunk = 0;
  #left = 0;
  /** Plies in use. */
  used = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** The address, divided by 4, of a ply whose content is whatever. @throws OutOfMemoryError */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) {
      this.used++;
      return free;
    }
    if (this.#left === 0) {
      this.#chunk = this.#arena.allocate('ip4 fib: plies', CHUNK_PLIES * L.PLY_BYTES);
      this.#left = CHUNK_PLIES;
    }
    this.used++;
    return (this.#chunk + --this.#left * L.PLY_BYTES) / 4;
  }

  /** Takes a ply back; readers must be gone. */
  give(ply: number): void {
    this.used--;
    this.#free.push(ply);
  }
}
