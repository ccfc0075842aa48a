import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { compile } from '../compile.ts';

/** One measurement of a path. Times are nanoseconds per packet. */
export interface Turn {
  /** Without the generator. */
  readonly ns: number;
  readonly generatorNs: number;
}

/** The C reference as a process that waits for its turns, so that it can alternate with the graph. */
export class ReferencePath {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  static async start(encap: string, flows: number): Promise<ReferencePath> {
    const program = await compile('reference');
    const child = spawn(program, ['--encap', encap, '--flows', String(flows), '--turns'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const path = new ReferencePath(child);
    await path.#line();
    return path;
  }

  /** Measures for about so many milliseconds. */
  async turn(milliseconds: number): Promise<Turn> {
    this.#child.stdin!.write(`go ${milliseconds}\n`);
    return JSON.parse(await this.#line()) as Turn;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await gone;
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the C reference ended early, with status ${this.#child.exitCode}`);
    return value;
  }
}
