import { readFileSync } from 'node:fs';
import type { Memory } from '@lbd/memory';

/** The exports of the kernel module; assembly/ says what they do. Results are signed: `>>> 0`. */
export interface MaglevKernels {
  fill(table: number, length: number, servers: number, count: number, replicas: number, taken: number): void;
  build_tables(flow: number): void;
  hash4(flow: number, addresses: number, ports: number): number;
  hash6(flow: number, addresses: number, ports: number): number;
  hash6_sticky(flow: number, addresses: number): number;
}

let module: WebAssembly.Module | undefined;
const instances = new WeakMap<Memory, MaglevKernels>();

export function kernelsOf(memory: Memory): MaglevKernels {
  let kernels = instances.get(memory);
  if (!kernels) {
    module ??= new WebAssembly.Module(readFileSync(new URL('../dist/kernels.wasm', import.meta.url)));
    kernels = memory.instantiate(module) as unknown as MaglevKernels;
    instances.set(memory, kernels);
  }
  return kernels;
}
