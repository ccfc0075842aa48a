import { NODE_DATA, NODE_WORKER, WORKER_BUFFERS } from '@lbd/graph';
import type { Memory } from '@lbd/memory';
import * as L from './layout.ts';
import type { QueueDetails } from './port.ts';

/**
 * Brings the data of the input and output nodes together with the queues that are open. A graph is laid out before or after
 * its ports are opened; whichever comes second finds the other here. One for each linear memory, in the main thread.
 */
export class Registry {
  readonly #memory: Memory;
  /** Addresses of the nodes' data, by worker. */
  readonly #inputs = new Map<number, number>();
  readonly #outputs = new Map<number, number>();
  readonly #ports = new Map<number, readonly QueueDetails[]>();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  addInput(worker: number, data: number): void {
    this.#inputs.set(worker, data);
    this.#writeInput(worker);
  }

  addOutput(worker: number, data: number): void {
    this.#outputs.set(worker, data);
    for (const port of this.#ports.keys()) this.#writeOutput(worker, port);
  }

  /** From here on the workers receive from these queues of the interface, and send with them. */
  connect(interfaceIndex: number, queues: readonly QueueDetails[]): void {
    this.#ports.set(interfaceIndex, queues);
    this.#write(interfaceIndex);
  }

  disconnect(interfaceIndex: number): void {
    this.#ports.delete(interfaceIndex);
    this.#write(interfaceIndex);
  }

  #write(interfaceIndex: number): void {
    for (const worker of this.#inputs.keys()) this.#writeInput(worker);
    for (const worker of this.#outputs.keys()) this.#writeOutput(worker, interfaceIndex);
  }

  #writeInput(worker: number): void {
    const at = this.#inputs.get(worker)! >>> 2;
    const { i32, u32 } = this.#memory;
    const queues = [...this.#ports.values()].flat().filter((queue) => queue.worker === worker);
    // 0 first: a worker that runs meanwhile never sees a mixture
    Atomics.store(i32, at + (L.INPUT_COUNT >> 2), 0);
    queues.forEach(({ block }, i) => {
      u32[at + (L.INPUT_BLOCKS >> 2) + i] = block;
      u32[(block + L.FILL_WANTED) >>> 2] = this.#fillWanted(worker, block, queues.length);
    });
    Atomics.store(i32, at + (L.INPUT_COUNT >> 2), queues.length);
  }

  /**
   * Buffers to keep on a queue's fill ring: all rings of a worker have half of its buffers at most, so that each gets some,
   * and packets that are under way have the rest; and one ring has a quarter at most.
   */
  #fillWanted(worker: number, block: number, queues: number): number {
    const { u32 } = this.#memory;
    const workerBlock = u32[(this.#inputs.get(worker)! - NODE_DATA + NODE_WORKER) >>> 2]!;
    const buffers = u32[(workerBlock + WORKER_BUFFERS) >>> 2]!;
    const entries = u32[(block + L.FILL_MASK) >>> 2]! + 1;
    return Math.max(1, Math.min(entries, buffers >>> 2, Math.floor(buffers / 2 / queues)));
  }

  #writeOutput(worker: number, interfaceIndex: number): void {
    const queue = this.#ports.get(interfaceIndex)?.find((candidate) => candidate.worker === worker);
    const at = (this.#outputs.get(worker)! + L.OUTPUT_BLOCKS + interfaceIndex * 4) >>> 2;
    Atomics.store(this.#memory.i32, at, queue?.block ?? 0);
  }
}

const registries = new WeakMap<WebAssembly.Memory, Registry>();

export function registryOf(memory: Memory): Registry {
  const registry = registries.get(memory.wasm) ?? new Registry(memory);
  registries.set(memory.wasm, registry);
  return registry;
}
