/** The worker thread: builds the same graph as the main thread over the same memory, and runs it. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type ClockCell, Runtime } from '@lbd/graph';
import { beginLbTask } from '@lbd/lb';
import { Memory, WorkerEpoch } from '@lbd/memory';
import { buildGraph, loadParts } from '../dataplane.ts';
import { WorkerLoop } from './loop.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';

const start = workerData as WorkerStart;
const port = parentPort!;
const send = (message: FromWorker) => port.postMessage(message);

const memory = new Memory(start.memory);
const parts = await loadParts(start.plan);
const graph = buildGraph(start.plan, parts).link();
const drivers = parts.drivers.map((driver) => {
  const ports = start.plan.ports.filter((port) => port.driver === driver.name);
  return driver.worker(ports, memory, start.index);
});
const clock = await clockCell();
const runtime = new Runtime(memory, graph, start.layout, start.index, start.modules, {
  ...(clock && { clock }),
  onPost: (message) => send({ kind: 'post', message }),
  onFailure: (failure) => send({ kind: 'failed', failure }),
});

send({ kind: 'ready' });
const poll = await waiter();
new WorkerLoop({
  memory,
  runtime,
  drivers,
  epoch: new WorkerEpoch(memory, start.epoch),
  status: start.status,
  receive: () => receiveMessageOnPort(port)?.message as ToWorker | undefined,
  send,
  beginTask: (task) => beginLbTask(memory, start.plan.lb, start.index, task),
  ...(poll ? { poll } : {}),
}).run();
for (const driver of drivers) driver.close?.();
port.close();

/** A clock that allocates nothing, where there is the addon: drivers that are not for speed do without. */
async function clockCell(): Promise<ClockCell | undefined> {
  if (start.eventFd < 0) return undefined;
  const { clockReader } = await import('@lbd/native');
  const ms = new Float64Array(1);
  return { ms, read: clockReader(ms) };
}

/** How to sleep until a driver has packets, if any driver can tell. */
async function waiter(): Promise<((milliseconds: number) => void) | undefined> {
  if (start.eventFd < 0) return undefined;
  const { EventFd, poll } = await import('@lbd/native');
  const wake = new EventFd(start.eventFd);
  const fds = Int32Array.from([start.eventFd, ...drivers.flatMap((driver) => driver.fds)]);
  return (milliseconds) => {
    if (poll(fds, milliseconds) > 0) wake.drain();
  };
}
