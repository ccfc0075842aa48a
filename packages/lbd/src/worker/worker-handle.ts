import { Worker } from 'node:worker_threads';
import type { WorkerPauses } from '@lbd/control';
import type { NodeFailure, Trace } from '@lbd/graph';
import type { LbTask } from '@lbd/lb';
import type { Memory } from '@lbd/memory';
import {
  type FromWorker,
  PAUSE_BUCKETS,
  STATUS_BREATHS,
  STATUS_FORGETS,
  STATUS_LONGEST,
  STATUS_MAIL,
  STATUS_PAUSED,
  STATUS_PAUSES,
  STATUS_SLEEPS,
  type ToWorker,
  type WorkerStart,
} from './messages.ts';

export interface WorkerEvents {
  readonly onPost: (message: unknown) => void;
  readonly onNodeFailure: (failure: NodeFailure, worker: number) => void;
  readonly onTraces: (traces: readonly Trace[]) => void;
  readonly onFinished: () => void;
  /** The thread ended by itself: a fault. */
  readonly onFailure: (error: Error) => void;
}

/** The main thread's side of a worker. */
export class WorkerHandle {
  readonly index: number;
  readonly #start: WorkerStart;
  readonly #memory: Memory;
  readonly #signal: () => void;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  readonly #ready: Promise<void>;
  readonly #exited: Promise<void>;
  #nextId = 1;
  #stopping = false;

  /** @param signal wakes the thread if it sleeps on file descriptors */
  constructor(start: WorkerStart, memory: Memory, signal: () => void, events: WorkerEvents) {
    this.index = start.index;
    this.#start = start;
    this.#memory = memory;
    this.#signal = signal;
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: start,
      name: `lbd worker ${start.index}`,
    });
    let isReady = () => {};
    let failed = (_error: Error) => {};
    this.#ready = new Promise((resolve, reject) => {
      isReady = resolve;
      failed = reject;
    });
    this.#ready.catch(() => {});
    const fail = (error: Error) => {
      failed(error);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      if (!this.#stopping) events.onFailure(error);
    };
    this.#worker.on('message', (message: FromWorker) => {
      if (message.kind === 'ready') isReady();
      else if (message.kind === 'post') events.onPost(message.message);
      else if (message.kind === 'failed') events.onNodeFailure(message.failure, this.index);
      else if (message.kind === 'traces') events.onTraces(message.traces);
      else if (message.kind === 'finished') events.onFinished();
      else this.#done(message.id, message.error);
    });
    this.#worker.on('error', fail);
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#endEpoch();
        fail(new Error(`worker ${this.index} ended with code ${code}`));
        resolve();
      });
    });
  }

  /** Resolves when it has built its graph. */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** Lets it begin. */
  go(): void {
    this.#post({ kind: 'go' });
  }

  trace(count: number): void {
    this.#post({ kind: 'trace', count });
  }

  /** Runs a task between two vectors. */
  task(task: LbTask): Promise<void> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#post({ kind: 'task', id, task });
    });
  }

  /** Resolves when the thread has ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#post({ kind: 'stop' });
    await this.#exited;
  }

  get breaths(): number {
    return this.#memory.f64[(this.#start.status + STATUS_BREATHS) >>> 3]!;
  }

  get sleeps(): number {
    return this.#memory.f64[(this.#start.status + STATUS_SLEEPS) >>> 3]!;
  }

  /** Its pauses since it began; the longest since {@link forgetLongest}. */
  get pauses(): WorkerPauses {
    const { f64 } = this.#memory;
    const { status } = this.#start;
    const first = (status + STATUS_PAUSES) >>> 3;
    return {
      longest: f64[(status + STATUS_LONGEST) >>> 3]!,
      sum: f64[(status + STATUS_PAUSED) >>> 3]!,
      counts: Array.from(f64.subarray(first, first + PAUSE_BUCKETS)),
    };
  }

  /** The worker forgets its longest pause with its next breath. */
  forgetLongest(): void {
    Atomics.add(this.#memory.i32, (this.#start.status + STATUS_FORGETS) >>> 2, 1);
  }

  /** A thread that is gone, in the middle of a vector perhaps, holds no references: nobody must wait for it. */
  #endEpoch(): void {
    const word = this.#start.epoch >>> 2;
    if ((Atomics.load(this.#memory.i32, word) & 1) === 1) Atomics.add(this.#memory.i32, word, 1);
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
    const word = (this.#start.status + STATUS_MAIL) >>> 2;
    Atomics.store(this.#memory.i32, word, 1);
    Atomics.notify(this.#memory.i32, word);
    this.#signal();
  }

  #done(id: number, error: string | undefined): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(new Error(`worker ${this.index}: ${error}`));
  }
}
