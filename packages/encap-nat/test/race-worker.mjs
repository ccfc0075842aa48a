// One thread of threads.long.test.ts: runs the loop of assembly/race.ts in short pieces until the word `stop` is not 0.
import { workerData } from 'node:worker_threads';

const { memory, module, nat, client, vip, flows, newFlow, epoch, seed, steps, now, counts, stop } = workerData;
const { race } = new WebAssembly.Instance(module, { env: { memory } }).exports;
const words = new Int32Array(memory.buffer);
Atomics.add(words, epoch / 4, 1);
for (let round = 1; Atomics.load(words, stop / 4) === 0; round++) {
  race(nat, client, vip, flows, newFlow, epoch, seed + round * 7919, steps, now, counts);
}
Atomics.add(words, epoch / 4, 1);
