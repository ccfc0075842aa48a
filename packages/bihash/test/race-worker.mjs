// One thread of threads.test.ts: runs a loop of assembly/race.ts in short pieces until the word `stop` is not 0.
import { parentPort, workerData } from 'node:worker_threads';

const { memory, module, loop, table, log2, seed, steps, errors, stop } = workerData;
const run = new WebAssembly.Instance(module, { env: { memory } }).exports[loop];
const words = new Int32Array(memory.buffer);
let rounds = 0;
for (; Atomics.load(words, stop / 4) === 0; rounds++) run(table, log2, seed + rounds * 7919 + 1, steps, errors);
parentPort.postMessage(rounds);
