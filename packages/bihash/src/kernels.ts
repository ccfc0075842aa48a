import { readFileSync } from 'node:fs';
import type { Memory } from '@lbd/memory';

type Words = readonly bigint[];

/** The exports of the kernel module for one key size. Words go in and come out as i64: use BigInt.asUintN on the latter. */
export interface BihashKernels {
  get(table: number, ...key: Words): bigint;
  set(table: number, ...keyAndValue: Words): number;
  insert(table: number, ...keyAndValue: Words): number;
  remove(table: number, ...key: Words): number;
}

let module: WebAssembly.Module | undefined;
const instances = new WeakMap<Memory, WebAssembly.Exports>();

export function kernelsOf(memory: Memory, keyBytes: number): BihashKernels {
  let exports = instances.get(memory);
  if (!exports) {
    module ??= new WebAssembly.Module(readFileSync(new URL('../dist/kernels.wasm', import.meta.url)));
    exports = memory.instantiate(module);
    instances.set(memory, exports);
  }
  const of = <T>(name: string) => exports[`${name}${keyBytes}`] as T;
  return { get: of('get'), set: of('set'), insert: of('insert'), remove: of('remove') };
}
