// Opens interfaces with the driver and reflects, in as many worker threads as asked for, until it is told to end.
//   node reflector.mjs '{"interfaces":["eth0"],"workers":1,"options":{},"vip":"10.1.0.100/32"}'
// Prints a line of JSON when it is ready, and one for each line of its input.
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { allocateGraph } from '@lbd/graph';
import { sumInterfaceCounters } from '@lbd/io';
import { Arena } from '@lbd/memory';
import { EventFd, xdpStatistics } from '@lbd/native';
import { afXdp } from '../dist/index.js';
import { reflectorGraph } from './reflector-graph.mjs';

const {
  interfaces,
  workers: workerCount = 1,
  options = {},
  vip,
  buffers = 8192,
  to,
  awake,
} = JSON.parse(process.argv[2]);
const arena = Arena.create(256 << 20);
const { memory } = arena;
const graph = reflectorGraph([]);
const layout = allocateGraph(arena, graph, { workers: workerCount, buffersPerWorker: buffers });
const pool = { frames: layout.frames, count: workerCount * buffers, perWorker: buffers };
const driver = afXdp.control(memory, pool, (label, bytes, align) => arena.allocate(label, bytes, align));
driver.steering.addPrefix(vip);

const opened = [];
try {
  for (const [index, name] of interfaces.entries()) {
    opened.push(await driver.open({ index, name, queues: workerCount, options }));
  }
} catch (error) {
  console.log(JSON.stringify({ code: error.code, message: error.message }));
  process.exit(1);
}
const ports = opened.map(({ info }) => info);
const control = new Int32Array(new SharedArrayBuffer(4));
const workers = layout.workers.map(({ index }) => {
  const stop = new EventFd();
  const workerData = { wasm: memory.wasm, ports, layout, index, stopFd: stop.fd, control, to, awake };
  const worker = new Worker(new URL('./reflector-worker.mjs', import.meta.url), { workerData });
  return {
    stop,
    running: new Promise((resolve) => worker.once('message', resolve)),
    ended: new Promise((resolve) => worker.once('exit', resolve)),
  };
});

const json = (value) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v));
await Promise.all(workers.map(({ running }) => running));
console.log(json({ ready: true, ports }));

const word = (address) => memory.u32[address >>> 2];

/** Where the buffers of a worker are, by what the rings and its free stack say. */
function buffersOf({ index, block }) {
  const own = ports.flatMap(({ details }) => details.queues.filter((queue) => queue.worker === index));
  const held = own.map(({ block: q }) => {
    const fill = word(q + 88) - word(word(q + 40));
    const rx = word(word(q + 4)) - word(q + 76);
    const tx = word(q + 80) - word(q + 92);
    return { fill, rx, tx };
  });
  const sum = (key) => held.reduce((n, entry) => n + entry[key], 0);
  return { free: word(block + 24), fill: sum('fill'), rx: sum('rx'), tx: sum('tx') };
}

function stats() {
  const blocks = layout.workers.map(({ block }) => block);
  return {
    interfaces: ports.map(({ index }) => sumInterfaceCounters(memory, blocks, index)),
    workers: layout.workers.map(({ interfaceCounters }) =>
      ports.map(({ index }) => memory.u64[(interfaceCounters + index * 64) >>> 3]),
    ),
    buffers: layout.workers.map(buffersOf),
    counters: Object.fromEntries(
      graph.counters.map(({ node, name }, i) => [
        `${node}: ${name}`,
        layout.workers.reduce((n, { counters }) => n + Number(memory.u64[(counters >>> 3) + i]), 0),
      ]),
    ),
    sockets: ports.flatMap(({ details }) => details.queues.map(({ fd }) => xdpStatistics(fd))),
    cpu: process.cpuUsage(),
  };
}

async function end() {
  Atomics.store(control, 0, 1);
  for (const { stop } of workers) stop.signal();
  await Promise.all(workers.map(({ ended }) => ended));
  for (const port of opened) await port.close();
  await driver.close();
  // the rings' places are ordinary memory again
  const blank = ports.every(({ details }) => details.queues.every(({ block }) => word(word(block + 4)) === 0));
  console.log(json({ ended: true, blank }));
  process.exit(0);
}
process.on('SIGTERM', end);
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'stats') console.log(json(stats()));
  const [command, ...args] = line.split(' ');
  if (command === 'add') driver.steering.addPrefix(args[0]);
  if (command === 'remove') driver.steering.removePrefix(args[0]);
});
