import { parentPort, workerData } from 'node:worker_threads';
import { compileKernels, Runtime } from '@lbd/graph';
import { Memory } from '@lbd/memory';
import { poll } from '@lbd/native';
import { afXdp } from '../dist/index.js';
import { reflectorGraph } from './reflector-graph.mjs';

const { wasm, ports, layout, index, stopFd, control, to, awake = false } = workerData;
const memory = new Memory(wasm);
const graph = reflectorGraph(ports, to);
const driver = afXdp.worker(ports, memory, index);
const runtime = new Runtime(memory, graph, layout, index, await compileKernels(graph));
const fds = new Int32Array([...driver.fds, stopFd]);

runtime.breathe(); // now the kernel has buffers to receive into
parentPort.postMessage('running');
let idle = 0;
while (Atomics.load(control, 0) === 0) {
  const received = runtime.breathe();
  driver.flush();
  idle = received > 0 ? 0 : idle + 1;
  if (!awake && idle > 50 && !driver.pending()) poll(fds, 1000);
}
