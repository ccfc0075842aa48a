import type { ChildProcess } from 'node:child_process';
import { type WaitOptions, waitFor } from './wait.ts';

const STRAGGLERS_MS = 500;

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that runs in a namespace of a lab. */
export class Running {
  /** What it has printed so far. */
  stdout = '';
  stderr = '';
  /** Resolves when it has ended and its output is complete; never rejects. */
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;
  readonly child: ChildProcess;
  readonly command: string;

  constructor(child: ChildProcess, command: string) {
    this.child = child;
    this.command = command;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve) => {
      const end = (exit: Exit) => {
        this.exit ??= exit;
        resolve(this.exit);
      };
      child.on('error', (error) => {
        this.stderr += `${error.message}\n`;
        end({ code: 127, signal: null });
      });
      child.on('close', (code, signal) => end({ code, signal }));
      // What it started may hold its output open for ever; wait for the rest of the output, but not long.
      child.on('exit', (code, signal) => setTimeout(() => end({ code, signal }), STRAGGLERS_MS));
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.command} did not start: ${this.stderr}`);
    return this.child.pid;
  }

  get alive(): boolean {
    return this.exit === undefined;
  }

  /** Both outputs, for messages. */
  get output(): string {
    return [this.stdout, this.stderr].filter(Boolean).join('\n').trim();
  }

  /** Waits until either output matches. Rejects at once if the process ends before it does. */
  async waitForOutput(pattern: RegExp, options?: WaitOptions): Promise<RegExpExecArray> {
    const found = () => pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
    const match = await waitFor(`${pattern} from "${this.command}"`, () => found() ?? this.exit, options).catch(
      (error) => {
        throw new Error(`${error.message}; it printed:\n${this.output}`);
      },
    );
    const result = found();
    if (!result) {
      const { code, signal } = match as Exit;
      throw new Error(`"${this.command}" ended (${signal ?? code}) before it printed ${pattern}:\n${this.output}`);
    }
    return result;
  }

  /** Sends a signal; does nothing if the process has ended. */
  kill(signal: NodeJS.Signals): void {
    if (this.alive) this.child.kill(signal);
  }

  /** Sends a signal, waits, and kills it if it has not ended within `patience` milliseconds. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', patience = 5000): Promise<Exit> {
    this.kill(signal);
    const impatience = setTimeout(() => this.kill('SIGKILL'), patience);
    const exit = await this.exited;
    clearTimeout(impatience);
    return exit;
  }
}
