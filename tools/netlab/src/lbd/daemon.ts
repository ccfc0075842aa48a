import type { SpawnOptions } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Output } from '../namespace.ts';
import type { Running } from '../running.ts';
import { waitFor } from '../wait.ts';

const bin = (name: string) => fileURLToPath(new URL(`../../../../packages/lbd/dist/bin/${name}.js`, import.meta.url));

/** Path of the daemon's program, and of its command line's. */
export const LBD = bin('lbd');
export const LBCTL = bin('lbctl');

const SHARED_MEMORY = { memory: '256MiB' };

/** A configuration of lbd, as its file has it. */
export type DaemonConfig = Record<string, unknown>;

export interface DaemonOptions {
  /** Folder for its configuration and socket. */
  readonly folder: string;
  /** Distinguishes daemons of one folder. */
  readonly name?: string;
  /** Command to run it under, e.g. to take capabilities away. */
  readonly under?: readonly string[];
  /** Its program; that of the workspace unless told. */
  readonly program?: string;
  /** Folder to start it in, where plugins are looked for. */
  readonly cwd?: string;
}

/** Where programs run: a namespace of a lab, or something else that can start them. */
export interface Place {
  spawn(command: string, args: readonly string[], options: SpawnOptions): Running;
}

/** A running lbd, in a namespace of a lab or elsewhere. */
export class Daemon {
  readonly process: Running;
  readonly socket: string;
  readonly config: string;
  readonly #place: Place;

  private constructor(place: Place, process: Running, config: string, socket: string) {
    this.#place = place;
    this.process = process;
    this.config = config;
    this.socket = socket;
  }

  /** Starts lbd without waiting for anything: it may well refuse. */
  static launch(place: Place, config: DaemonConfig | string, options: DaemonOptions): Daemon {
    const { folder, name = 'lbd', under = [], program = LBD, cwd } = options;
    const socket = join(folder, `${name}.sock`);
    const file = join(folder, `${name}.yaml`);
    // JSON is YAML, too.
    const text =
      typeof config === 'string' ? config : JSON.stringify({ ...SHARED_MEMORY, control: { socket }, ...config });
    writeFileSync(file, text);
    const [command, ...args] = [...under, process.execPath, program, '--config', file];
    const spawning = {
      stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    };
    return new Daemon(place, place.spawn(command, args, spawning), file, socket);
  }

  /** Starts lbd and waits until it answers; rejects with what it printed if it does not. */
  static async start(place: Place, config: DaemonConfig | string, options: DaemonOptions): Promise<Daemon> {
    const daemon = Daemon.launch(place, config, options);
    await daemon.ready();
    return daemon;
  }

  get pid(): number {
    return this.process.pid;
  }

  /** Waits until it answers on its socket. */
  async ready(timeout = 20_000): Promise<void> {
    const answers = async () => !this.process.alive || (await this.command('show version'));
    await waitFor('lbd to answer', answers, { timeout }).catch((error) => {
      throw new Error(`${error.message}; it printed:\n${this.process.output}`, { cause: error.cause });
    });
    if (!this.process.alive) throw new Error(`lbd ended (${this.process.exit?.code}):\n${this.process.output}`);
  }

  /** Runs a command line over the control socket; resolves with the text for people. Rejects with lbd's own message. */
  async command(line: string): Promise<string> {
    return this.#cli(line, 'text');
  }

  /** As `command`, with the data for programs. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the command answers; each test knows what it asked for
  async data(line: string): Promise<any> {
    return JSON.parse(await this.#cli(line, 'data'));
  }

  /** Runs the program lbctl as a user does. */
  async lbctl(...args: string[]): Promise<Output> {
    const words = [LBCTL, '--socket', this.socket, ...args];
    const running = this.#place.spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    const { code } = await running.exited;
    return { stdout: running.stdout, stderr: running.stderr, code };
  }

  /** Ends it and waits. */
  stop(signal: NodeJS.Signals = 'SIGTERM') {
    return this.process.stop(signal);
  }

  #cli(command: string, answer: 'text' | 'data'): Promise<string> {
    return new Promise((resolve, reject) => {
      const body = JSON.stringify({ command, answer });
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const options = { socketPath: this.socket, method: 'POST', path: '/cli', headers, timeout: 10_000 };
      const sent = request(options, async (response) => {
        let text = '';
        try {
          for await (const chunk of response.setEncoding('utf8')) text += chunk;
          if (response.statusCode === 200) return resolve(text);
          const { message, code } = JSON.parse(text);
          reject(Object.assign(new Error(message), { code }));
        } catch (error) {
          reject(error);
        }
      });
      sent.on('timeout', () => sent.destroy(new Error(`lbd did not answer "${command}" within 10 s`)));
      sent.on('error', reject);
      sent.end(body);
    });
  }
}
