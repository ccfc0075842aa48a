import type { Runtime } from '@lbd/graph';
import { Arena, Epochs, WorkerEpoch } from '@lbd/memory';
import { describe, expect, it } from 'vitest';
import { WorkerLoop } from './loop.ts';
import { type FromWorker, STATUS_BYTES, STATUS_MAIL, type ToWorker } from './messages.ts';

/** Runs a loop over a runtime in which nothing ever comes in, until it has slept three times. */
function sleepsOf(holds: boolean, finished: boolean) {
  const arena = Arena.create(1024 * 1024);
  const { memory } = arena;
  const status = arena.allocate('status', STATUS_BYTES);
  const sleeps: number[] = [];
  const sent: FromWorker[] = [];
  const mail: ToWorker[] = [{ kind: 'go' }];
  Atomics.store(memory.i32, (status + STATUS_MAIL) >>> 2, 1);
  const tracer = { active: false, take: () => [] };
  let breaths = 0;
  const stop = () => {
    mail.push({ kind: 'stop' });
    Atomics.store(memory.i32, (status + STATUS_MAIL) >>> 2, 1);
  };
  const breathe = () => {
    if (++breaths > 2000) stop();
    return 0;
  };
  new WorkerLoop({
    memory,
    runtime: { holds, tracer, breathe } as unknown as Runtime,
    drivers: [{ flush: () => {}, finished: () => finished } as never],
    epoch: new WorkerEpoch(memory, new Epochs(arena, 1).word(0)),
    status,
    receive: () => mail.shift(),
    send: (message) => sent.push(message),
    runTask: () => {},
    poll: (milliseconds) => {
      if (sleeps.push(milliseconds) === 3) stop();
    },
  }).run();
  return { sleeps, finished: sent.some(({ kind }) => kind === 'finished') };
}

describe('a worker without packets', () => {
  it('sleeps until some come', () => {
    expect(sleepsOf(false, false)).toEqual({ sleeps: [1000, 1000, 1000], finished: false });
  });

  it('sleeps for moments only while nodes keep packets', () => {
    expect(sleepsOf(true, false)).toEqual({ sleeps: [5, 5, 5], finished: false });
  });

  it('has not finished while nodes keep packets, though every input has ended', () => {
    expect(sleepsOf(true, true).finished).toBe(false);
    expect(sleepsOf(false, true).finished).toBe(true);
  });
});
