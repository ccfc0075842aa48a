import { Arena, Epochs, WorkerEpoch } from '@lbd/memory';
import { expect, it } from 'vitest';
import { STATUS_BYTES, type WorkerStart } from './messages.ts';
import { WorkerHandle } from './worker-handle.ts';

it('a worker that has died is not waited for', async () => {
  const arena = Arena.create(1 << 20);
  const epochs = new Epochs(arena, 1);
  const status = arena.allocate('status', STATUS_BYTES);
  // As it is when a thread ends in the middle of a vector.
  new WorkerEpoch(arena.memory, epochs.word(0)).online();
  const quiescent = epochs.quiescent();
  const failures: Error[] = [];
  // There is no graph to build, or no compiled worker beside the source: the thread ends at once.
  const start = { memory: arena.memory.wasm, index: 0, epoch: epochs.word(0), status, eventFd: -1 };
  const onFailure = (error: Error) => failures.push(error);
  const events = { onPost() {}, onNodeFailure() {}, onTraces() {}, onFinished() {}, onFailure };
  const worker = new WorkerHandle(start as unknown as WorkerStart, arena.memory, () => {}, events);
  await expect(worker.ready()).rejects.toThrow();
  await quiescent;
  await epochs.quiescent();
  expect(failures.length).toBeGreaterThan(0);
});
