import type { Runtime } from '@lbd/graph';
import type { DriverWorker } from '@lbd/io';
import type { Memory, WorkerEpoch } from '@lbd/memory';
import { type FromWorker, STATUS_BREATHS, STATUS_MAIL, STATUS_SLEEPS, type ToWorker } from './messages.ts';
import { Pauses } from './pauses.ts';

/** Empty breaths before a worker sleeps: at low load it is still awake when an answer comes. */
const SPINS = 300;
/** Longest sleep, milliseconds: the worker's clock goes on, which expiries are counted by. */
const SLEEP_MS = 1000;
/** The same while nodes keep packets: another worker may bring what they wait for. */
const HOLDING_SLEEP_MS = 5;

export interface LoopParts {
  readonly memory: Memory;
  readonly runtime: Runtime;
  readonly drivers: readonly DriverWorker[];
  readonly epoch: WorkerEpoch;
  /** Address of the status block. */
  readonly status: number;
  /** Takes the next message, if there is one. */
  readonly receive: () => ToWorker | undefined;
  readonly send: (message: FromWorker) => void;
  /**
   * Begins a task of the control plane. What it returns is called once between breaths until it says that all is done, so that
   * no task keeps packets waiting for longer than one step takes.
   */
  readonly beginTask: (task: (ToWorker & { kind: 'task' })['task']) => TaskStep;
  /** Waits for packets or mail, at most that many milliseconds; left out, for mail only. */
  readonly poll?: (milliseconds: number) => void;
}

/** A part of a task; true if it was the last. */
export type TaskStep = () => boolean;

/** A worker's life: breathe, read mail, sleep when there is nothing to do. */
export class WorkerLoop {
  readonly #parts: LoopParts;
  readonly #mail: number;
  readonly #breaths: number;
  readonly #sleeps: number;
  readonly #pauses: Pauses;
  /** Tasks under way, the first of which goes on. */
  readonly #tasks: { readonly id: number; readonly step: TaskStep }[] = [];
  #going = false;
  #stopped = false;
  #finished = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#mail = (parts.status + STATUS_MAIL) >>> 2;
    this.#breaths = (parts.status + STATUS_BREATHS) >>> 3;
    this.#sleeps = (parts.status + STATUS_SLEEPS) >>> 3;
    this.#pauses = new Pauses(parts.memory, parts.status, parts.runtime.breathed);
  }

  /** Returns when it is told to stop. */
  run(): void {
    this.#waitForGo();
    const { memory, runtime, drivers, epoch } = this.#parts;
    const { i32, f64 } = memory;
    let idle = 0;
    epoch.online();
    while (!this.#stopped) {
      const received = runtime.breathe();
      this.#pauses.breath();
      for (let i = 0; i < drivers.length; i++) drivers[i]!.flush();
      f64[this.#breaths]! += 1;
      epoch.tick();
      if (Atomics.load(i32, this.#mail) !== 0) this.#readMail();
      if (this.#tasks.length > 0) this.#goOn();
      if (received > 0 || this.#tasks.length > 0) idle = 0;
      else if (++idle >= SPINS) {
        idle = 0;
        this.#rest();
      }
      if (runtime.tracer.active || received > 0) this.#sendTraces();
    }
    epoch.offline();
  }

  #waitForGo(): void {
    while (!this.#going && !this.#stopped) {
      Atomics.wait(this.#parts.memory.i32, this.#mail, 0, SLEEP_MS);
      this.#readMail();
    }
  }

  /** Sleeps until there are packets or mail. It holds no reference into shared tables meanwhile. */
  #rest(): void {
    const { memory, runtime, drivers, epoch, poll } = this.#parts;
    if (this.#checkFinished()) return;
    if (drivers.some((driver) => driver.pending?.() ?? false)) return;
    epoch.offline();
    memory.f64[this.#sleeps]! += 1;
    const milliseconds = runtime.holds ? HOLDING_SLEEP_MS : SLEEP_MS;
    if (poll) poll(milliseconds);
    else Atomics.wait(memory.i32, this.#mail, 0, milliseconds);
    this.#pauses.slept();
    epoch.online();
  }

  /** Tells, once, that every input has ended. */
  #checkFinished(): boolean {
    const { runtime, drivers, send } = this.#parts;
    if (this.#finished || runtime.holds || !drivers.every((driver) => driver.finished?.() ?? false)) return false;
    this.#finished = true;
    this.#sendTraces();
    send({ kind: 'finished' });
    return true;
  }

  #sendTraces(): void {
    const traces = this.#parts.runtime.tracer.take();
    if (traces.length > 0) this.#parts.send({ kind: 'traces', traces });
  }

  #readMail(): void {
    const { memory, receive } = this.#parts;
    // The word first: what comes after this is seen, or sets the word again.
    Atomics.store(memory.i32, this.#mail, 0);
    for (let message = receive(); message; message = receive()) this.#obey(message);
  }

  #obey(message: ToWorker): void {
    const { runtime, beginTask } = this.#parts;
    if (message.kind === 'go') this.#going = true;
    else if (message.kind === 'stop') this.#stopped = true;
    else if (message.kind === 'trace') runtime.tracer.add(message.count);
    else {
      const { id, task } = message;
      try {
        this.#tasks.push({ id, step: beginTask(task) });
      } catch (error) {
        this.#failed(id, error);
      }
      // Before it breathes there are no packets to wait.
      while (!this.#going && this.#tasks.length > 0) this.#goOn();
    }
  }

  /** Does one step of the task that is first. */
  #goOn(): void {
    const { id, step } = this.#tasks[0]!;
    try {
      if (!step()) return;
      this.#parts.send({ kind: 'done', id });
    } catch (error) {
      this.#failed(id, error);
    }
    this.#tasks.shift();
  }

  #failed(id: number, error: unknown): void {
    this.#parts.send({ kind: 'done', id, error: String((error as Error).stack ?? error) });
  }
}
