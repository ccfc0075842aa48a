import { readFileSync } from 'node:fs';
import type { Memory } from '@lbd/memory';

/** The exports of the kernel module; assembly/ says what they do. Results are signed: `>>> 0`. */
export interface StickyKernels {
  lookup_vector(
    table: number,
    hashes: number,
    vips: number,
    newflow: number,
    out: number,
    count: number,
    now: number,
    counters: number,
  ): void;
  count_live(table: number, now: number): number;
  count_by_as(table: number, now: number, counts: number, length: number): void;
  count_by_vip(table: number, now: number, counts: number, length: number): void;
  count_matching(table: number, as: number, vip: number, now: number): number;
  flush(table: number, as: number, vip: number, now: number): number;
  state_of(table: number, hash: number, vip: number, now: number): number;
  set_state(table: number, hash: number, vip: number, now: number, state: number): number;
  copy(from: number, to: number, now: number): number;
  hash4(secret: number, source: number, destination: number, ports: number): number;
  hash6(secret: number, source: number, destination: number, ports: number): number;
  hashes4(
    secret: number,
    destination: number,
    sources: number,
    ports: number,
    hashes: number,
    count: number,
    constants: number,
  ): void;
  take_over(table: number, from: number, end: number, now: number): number;
}

let module: WebAssembly.Module | undefined;
const instances = new WeakMap<Memory, StickyKernels>();

export function kernelsOf(memory: Memory): StickyKernels {
  let kernels = instances.get(memory);
  if (!kernels) {
    module ??= new WebAssembly.Module(readFileSync(new URL('../dist/kernels.wasm', import.meta.url)));
    kernels = memory.instantiate(module) as unknown as StickyKernels;
    instances.set(memory, kernels);
  }
  return kernels;
}
