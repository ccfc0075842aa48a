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
    runtime: { holds, tracer, breathe, breathed: new Float64Array(1) } as unknown as Runtime,
    drivers: [{ flush: () => {}, finished: () => finished } as never],
    epoch: new WorkerEpoch(memory, new Epochs(arena, 1).word(0)),
    status,
    receive: () => mail.shift(),
    send: (message) => sent.push(message),
    beginTask: () => () => true,
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

describe('a task of many steps', () => {
  /** Gives a worker two tasks, the first of `steps` steps, and tells in what order things happened. */
  function story(steps: number, fails = false): string[] {
    const arena = Arena.create(1024 * 1024);
    const { memory } = arena;
    const status = arena.allocate('status', STATUS_BYTES);
    const events: string[] = [];
    const task = { kind: 'lb-flush' } as const;
    const mail: ToWorker[] = [{ kind: 'go' }, { kind: 'task', id: 1, task }, { kind: 'task', id: 2, task }];
    const ring = () => Atomics.store(memory.i32, (status + STATUS_MAIL) >>> 2, 1);
    ring();
    let begun = 0;
    new WorkerLoop({
      memory,
      runtime: {
        holds: false,
        tracer: { active: false, take: () => [] },
        breathed: new Float64Array(1),
        breathe: () => {
          events.push('breath');
          return 0;
        },
      } as unknown as Runtime,
      drivers: [],
      epoch: new WorkerEpoch(memory, new Epochs(arena, 1).word(0)),
      status,
      receive: () => mail.shift(),
      send: (message) => {
        if (message.kind !== 'done') return;
        events.push(`done ${message.id}${message.error ? ' failed' : ''}`);
        if (message.id !== 2) return;
        mail.push({ kind: 'stop' });
        ring();
      },
      beginTask: () => {
        const name = ++begun;
        let left = name === 1 ? steps : 1;
        return () => {
          events.push(`step of ${name}`);
          if (fails && name === 1) throw new Error('no');
          return --left === 0;
        };
      },
      poll: () => events.push('sleep'),
    }).run();
    return events.slice(0, events.indexOf('done 2') + 1);
  }

  it('goes on between breaths, and those after it wait', () => {
    const step = ['step of 1', 'breath'];
    expect(story(3).filter((event, i) => i > 0 || event !== 'breath')).toEqual([
      ...step,
      ...step,
      'step of 1',
      'done 1',
      'breath',
      'step of 2',
      'done 2',
    ]);
  });

  it('that fails is told so, and the next goes on', () => {
    const told = story(3, true).filter((event) => event !== 'breath');
    expect(told).toEqual(['step of 1', 'done 1 failed', 'step of 2', 'done 2']);
  });

  it('keeps the worker awake', () => {
    expect(story(1000)).not.toContain('sleep');
  });
});
