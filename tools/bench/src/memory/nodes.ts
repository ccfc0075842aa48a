import type { Kernel, NodeDeclaration } from '@lbd/graph';
import type { Arena, Memory } from '@lbd/memory';
import * as L from '../layout.ts';

const module = new URL('../../dist/kernels.wasm', import.meta.url);
const kernel = (name: string): Kernel => ({ module, export: name });

/** What the generator and the sink of one graph share: see layout.ts. */
export class Pool {
  readonly #memory: Memory;
  readonly address: number;

  /**
   * @param buffers how many the worker has, a power of two
   * @param templates address of the first template
   * @param flows templates, a power of two
   */
  constructor(arena: Arena, buffers: number, templates: number, flows: number) {
    this.#memory = arena.memory;
    this.address = arena.allocate('bench: pool', L.POOL_BYTES);
    this.#set(L.POOL_RING, arena.allocate('bench: ring of free buffers', buffers * 4));
    this.#set(L.POOL_MASK, buffers - 1);
    this.#set(L.POOL_TEMPLATES, templates);
    this.#set(L.POOL_FLOW_MASK, flows - 1);
  }

  /** Packets that reached the sink since the last call; wraps at 2^32. */
  takeReceived(): number {
    const at = (this.address + L.POOL_RECEIVED) >>> 2;
    const received = this.#memory.u32[at]!;
    this.#memory.u32[at] = 0;
    return received;
  }

  #set(word: number, value: number): void {
    this.#memory.u32[(this.address + word) >>> 2] = value;
  }
}

/** Puts packets into a graph, at the node `into`. */
export function generatorNode(pool: Pool, into: string): NodeDeclaration {
  return { name: 'bench-generator', kind: 'input', next: [into], process: kernel('generate'), ...shared(pool) };
}

/** Takes them out. */
export function sinkNode(pool: Pool, name = 'bench-sink'): NodeDeclaration {
  return { name, kind: 'output', process: kernel('collect'), ...shared(pool) };
}

function shared(pool: Pool): Pick<NodeDeclaration, 'dataBytes' | 'init'> {
  return {
    dataBytes: L.NODE_POOL_BYTES,
    init: (memory, address) => {
      memory.u32[(address + L.NODE_POOL) >>> 2] = pool.address;
    },
  };
}
