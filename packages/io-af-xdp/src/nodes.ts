import type { NodeDeclaration } from '@lbd/graph';
import { INPUT_BYTES, OUTPUT_BYTES } from './layout.ts';
import { registryOf } from './registry.ts';

/** This package's compiled kernels. */
const kernels = new URL('../dist/kernels.wasm', import.meta.url);

/** Receives from the worker's queues, of all ports. */
export const inputNode: NodeDeclaration = {
  name: 'af_xdp-input',
  kind: 'input',
  next: ['ethernet-input'],
  dataBytes: INPUT_BYTES,
  init: (memory, address, worker) => registryOf(memory).addInput(worker, address),
  process: { module: kernels, export: 'afXdpInput' },
  trace: (packet) => `af_xdp-input: interface ${packet.rx}, ${packet.length} bytes`,
};

/** Sends on the interfaces that META_TX names. Member of the fan-out `output`. */
export const outputNode: NodeDeclaration = {
  name: 'af_xdp-output',
  kind: 'output',
  dataBytes: OUTPUT_BYTES,
  init: (memory, address, worker) => registryOf(memory).addOutput(worker, address),
  process: { module: kernels, export: 'afXdpOutput' },
  trace: (packet) => `af_xdp-output: interface ${packet.tx}, ${packet.length} bytes`,
};
