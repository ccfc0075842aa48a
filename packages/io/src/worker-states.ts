import { type NodeContext, WORKER_INDEX } from '@lbd/graph';
import type { Memory } from '@lbd/memory';

/**
 * What a driver keeps for each worker in this thread, where its nodes find it: they are declared before there are any
 * workers, and know nothing but the memory and the worker block that they run with.
 */
export class WorkerStates<State> {
  readonly #states = new WeakMap<WebAssembly.Memory, Map<number, State>>();

  /** Makes a state known to the nodes that run with this memory and worker index in this thread. */
  set(memory: Memory, worker: number, state: State): void {
    const ofMemory = this.#states.get(memory.wasm) ?? new Map<number, State>();
    this.#states.set(memory.wasm, ofMemory.set(worker, state));
  }

  /** The state of the worker that a node runs in; undefined if none was set. */
  of({ memory, worker }: Pick<NodeContext, 'memory' | 'worker'>): State | undefined {
    return this.#states.get(memory.wasm)?.get(memory.u32[(worker + WORKER_INDEX) >>> 2]!);
  }
}
