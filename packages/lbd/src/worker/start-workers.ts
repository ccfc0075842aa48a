import type { GraphLayout, KernelModules } from '@lbd/graph';
import type { LbTask } from '@lbd/lb';
import type { Arena, Epochs } from '@lbd/memory';
import type { Cleanup } from '../cleanup.ts';
import type { GraphPlan } from '../dataplane.ts';
import { STATUS_BYTES } from './messages.ts';
import { type WorkerEvents, WorkerHandle } from './worker-handle.ts';

export interface TeamOptions {
  readonly arena: Arena;
  readonly epochs: Epochs;
  readonly plan: GraphPlan;
  readonly layout: GraphLayout;
  readonly modules: KernelModules;
  /** Worker threads. */
  readonly count: number;
  /** Whether drivers have file descriptors to sleep on; that needs the native addon. */
  readonly sleepOnFiles: boolean;
  readonly cleanup: Cleanup;
  readonly events: Omit<WorkerEvents, 'onFinished'>;
}

/** All workers. */
export interface Team {
  readonly workers: readonly WorkerHandle[];
  /** Resolves when the inputs of every worker have ended. */
  readonly finished: Promise<void>;
  go(): void;
  /** Each worker traces that many packets. */
  trace(count: number): void;
  /** Runs a task on every worker; resolves when all have done it. */
  task(task: LbTask): Promise<void>;
}

/** Starts the workers; resolves when all have built their graph. They do not breathe before `go`. */
export async function startWorkers(options: TeamOptions): Promise<Team> {
  const { arena, count, cleanup, events } = options;
  let running = count;
  let allFinished = () => {};
  const finished = new Promise<void>((resolve) => {
    allFinished = resolve;
  });
  const onFinished = () => {
    if (--running === 0) allFinished();
  };
  const workers: WorkerHandle[] = [];
  for (let index = 0; index < count; index++) {
    const wake = options.sleepOnFiles ? await newEventFd(cleanup) : undefined;
    const start = {
      memory: arena.memory.wasm,
      index,
      plan: options.plan,
      layout: options.layout,
      modules: options.modules,
      epoch: options.epochs.word(index),
      status: arena.allocate(`worker ${index}: status`, STATUS_BYTES),
      eventFd: wake?.fd ?? -1,
    };
    const worker = new WorkerHandle(start, arena.memory, () => wake?.signal(), { ...events, onFinished });
    cleanup.add(() => worker.stop());
    workers.push(worker);
  }
  await Promise.all(workers.map((worker) => worker.ready()));
  return {
    workers,
    finished,
    go() {
      for (const worker of workers) worker.go();
    },
    trace(packets) {
      for (const worker of workers) worker.trace(packets);
    },
    async task(task) {
      await Promise.all(workers.map((worker) => worker.task(task)));
    },
  };
}

async function newEventFd(cleanup: Cleanup) {
  const { EventFd } = await import('@lbd/native');
  const wake = new EventFd();
  cleanup.add(() => wake.close());
  return wake;
}
