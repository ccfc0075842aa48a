import { randomBytes } from 'node:crypto';
import type { Arena, Memory } from '@lbd/memory';
import { crcFlowHash } from './crc32c.ts';
import type { Flow } from './flow.ts';
import { kernelsOf } from './kernels.ts';
import * as L from './layout.ts';
import { keyedFlowHash, keyWords } from './siphash.ts';

/**
 * `crc32c`: VPP's hash, the default; instances agree, and so does VPP; anyone can compute flows that collide. `keyed`:
 * SipHash-1-3, for those who must fear that; instances agree if they have the same key.
 */
export type FlowHashKind = 'crc32c' | 'keyed';

export interface FlowHashOptions {
  readonly kind?: FlowHashKind;
  /** 16 secret bytes for `keyed`; random unless told. */
  readonly key?: Uint8Array;
}

/** The flow hash in the linear memory, for the kernels of `assembly/flow-hash.ts`: the kind, its tables or its key. */
export class FlowHash {
  readonly memory: Memory;
  /** What kernels want to know. */
  readonly address: number;

  private constructor(memory: Memory, address: number) {
    this.memory = memory;
    this.address = address;
  }

  /**
   * Takes 40 KiB for `crc32c`, 64 bytes for `keyed`.
   * @throws MaglevError (LBD_MAGLEV_KEY), OutOfMemoryError
   */
  static create(arena: Arena, options: FlowHashOptions = {}): FlowHash {
    const { kind = 'crc32c', key = randomBytes(16) } = options;
    const words = keyWords(key);
    const keyed = kind === 'keyed';
    const tables = keyed ? 0 : L.FLOW_POSITIONS << L.FLOW_TABLE_SHIFT;
    const address = arena.allocate('flow hash', L.FLOW_TABLES + tables);
    const { memory } = arena;
    memory.u32[(address + L.FLOW_KIND) >>> 2] = keyed ? L.FLOW_KEYED : L.FLOW_CRC32C;
    memory.u64.set(keyed ? words : [0n, 0n], (address + L.FLOW_KEY) / 8);
    if (!keyed) kernelsOf(memory).build_tables(address);
    return new FlowHash(memory, address);
  }

  static attach(memory: Memory, address: number): FlowHash {
    return new FlowHash(memory, address);
  }

  get kind(): FlowHashKind {
    return this.memory.u32[(this.address + L.FLOW_KIND) >>> 2] === L.FLOW_KEYED ? 'keyed' : 'crc32c';
  }

  /** The hash that the kernels compute for a flow (u32). */
  hash(flow: Flow): number {
    if (this.kind === 'crc32c') return crcFlowHash(flow);
    return keyedFlowHash(this.memory.u8.slice(this.address + L.FLOW_KEY, this.address + L.FLOW_KEY + 16), flow);
  }

  free(arena: Arena): void {
    arena.free(this.address);
  }
}
