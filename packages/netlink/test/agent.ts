import { fileURLToPath } from 'node:url';
import type { Namespace, Running } from '@lbd/netlab';
import type { Address, Link, MirrorChange, Neighbour, Route } from '../dist/index.js';

export interface State {
  readonly links: Link[];
  readonly addresses: Address[];
  readonly routes: Route[];
  readonly neighbours: Neighbour[];
}

interface Methods {
  mirror(): State;
  lists(): State;
  changes(): MirrorChange[];
  resolve(ifindex: number, address: string): void;
  overruns(): number;
  sleep(milliseconds: number): void;
}

/** A process in a namespace that has a mirror of it: test/agent.mjs. */
export class Agent {
  readonly #process: Running;
  #calls = 0;

  private constructor(process: Running) {
    this.#process = process;
  }

  static async start(namespace: Namespace): Promise<Agent> {
    const program = fileURLToPath(new URL('agent.mjs', import.meta.url));
    const agent = new Agent(namespace.spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] }));
    await agent.#answer(0);
    return agent;
  }

  async call<M extends keyof Methods>(method: M, ...args: Parameters<Methods[M]>): Promise<ReturnType<Methods[M]>> {
    const id = ++this.#calls;
    this.#process.child.send({ id, method, args });
    return (await this.#answer(id)) as ReturnType<Methods[M]>;
  }

  #answer(wanted: number): Promise<unknown> {
    const { child } = this.#process;
    return new Promise((resolve, reject) => {
      const listen = (message: unknown): void => {
        const { id, value, error } = message as { id: number; value?: unknown; error?: object };
        if (id !== wanted) return;
        child.off('message', listen);
        if (error) reject(error);
        else resolve(value);
      };
      child.on('message', listen);
      this.#process.exited.then(() => reject(new Error(`the agent ended:\n${this.#process.output}`)));
    });
  }
}
