import { fileURLToPath } from 'node:url';
import type { Methods } from './actor/main.ts';
import type { Namespace } from './namespace.ts';
import type { Running } from './running.ts';

const PROGRAM = fileURLToPath(new URL('../dist/actor/main.js', import.meta.url));

interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** A Node process in a namespace that plays real servers and clients, told what to do over Node's own IPC. */
export class Actor {
  readonly process: Running;
  #calls = 0;
  readonly #waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();

  private constructor(process: Running) {
    this.process = process;
    process.child.on('message', (message) => {
      const { id, value, error } = message as Reply;
      const call = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) call?.resolve(value as never);
      else call?.reject(new Error(error));
    });
    process.exited.then(({ code, signal }) => {
      const error = new Error(`actor "${process.command}" ended (${signal ?? code}):\n${process.output}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  /** Starts one; `name` is how its servers call themselves. */
  static async start(namespace: Namespace, name: string): Promise<Actor> {
    const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] as ('ignore' | 'pipe' | 'ipc')[];
    const actor = new Actor(namespace.spawn(process.execPath, [PROGRAM, name], { stdio }));
    await actor.call('ready');
    return actor;
  }

  /** Calls one of the actor's methods. Rejects with the actor's error, or when it ends. */
  call<M extends keyof Methods>(method: M, ...args: Parameters<Methods[M]>): Promise<Awaited<ReturnType<Methods[M]>>> {
    const id = this.#calls++;
    return new Promise((resolve, reject) => {
      if (!this.process.alive) {
        reject(new Error(`actor "${this.process.command}" has ended:\n${this.process.output}`));
        return;
      }
      this.#waiting.set(id, { resolve, reject });
      this.process.child.send({ id, method, args });
    });
  }

  /** Ends it. */
  async stop(): Promise<void> {
    await this.process.stop();
  }
}
