// One thread of fragments.test.ts: runs a loop of assembly/fragments.ts in short pieces until the word `stop` is not 0, and counts them.
import { workerData } from 'node:worker_threads';

const { memory, module, loop, lb, log2, seed, steps, packet, errors, stop } = workerData;
const run = new WebAssembly.Instance(module, { env: { memory } }).exports[loop];
const words = new Int32Array(memory.buffer);
for (let round = 1; Atomics.load(words, stop / 4) === 0; round++) {
  run(lb, BigInt(log2), BigInt(seed + round * 7919), steps, packet, errors);
  Atomics.add(words, errors / 4 + 3, 1);
}
