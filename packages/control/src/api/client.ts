import { request } from 'node:http';
import type { Answer } from '../cli/command.ts';
import { ControlError } from '../errors.ts';

/** Talks to the control API of a running lbd. */
export class ControlClient {
  readonly socket: string;

  constructor(socket: string) {
    this.socket = socket;
  }

  /** Runs a command line. @throws ControlError with the code that lbd answered, or LBD_NOT_RUNNING */
  command(command: string): Promise<Answer> {
    return this.#call('POST', '/cli', { command }) as Promise<Answer>;
  }

  /** Runs a command line for what it says to people. Cheaper than `command` where there is much to tell. */
  async text(command: string): Promise<string> {
    return (await this.#reply('POST', '/cli', { command, answer: 'text' })).text;
  }

  /** Runs a command line for what it says to programs. */
  async data(command: string): Promise<unknown> {
    return JSON.parse(await this.json(command));
  }

  /** The same as it came: one line of JSON. */
  async json(command: string): Promise<string> {
    return (await this.#reply('POST', '/cli', { command, answer: 'data' })).text;
  }

  /** A message of the API by name, e.g. `lb_vip_dump`. */
  api(name: string, body: object = {}): Promise<unknown> {
    return this.#call('POST', `/api/${name}`, body);
  }

  /** The metrics page, as text. */
  metrics(): Promise<string> {
    return this.#call('GET', '/metrics') as Promise<string>;
  }

  async #call(method: string, path: string, body?: object): Promise<unknown> {
    const { isJson, text } = await this.#reply(method, path, body);
    return isJson ? JSON.parse(text) : text;
  }

  async #reply(method: string, path: string, body?: object): Promise<Reply> {
    const reply = await exchange(this.socket, method, path, body);
    const { status, isJson, text } = reply;
    if (status < 400) return reply;
    const answer = isJson ? JSON.parse(text) : {};
    throw new ControlError(answer.code ?? 'LBD_INTERNAL', answer.message ?? text);
  }
}

interface Reply {
  readonly status: number;
  readonly isJson: boolean;
  readonly text: string;
}

function exchange(socketPath: string, method: string, path: string, body?: object): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const sent = request({ socketPath, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 500,
          isJson: response.headers['content-type']?.startsWith('application/json') ?? false,
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    sent.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(socketPath, error)));
    sent.end(text);
  });
}

function unreachable(socket: string, error: NodeJS.ErrnoException): ControlError {
  if (error.code === 'EACCES') {
    return new ControlError('LBD_NOT_ALLOWED', `no permission to use ${socket}: be its owner (root?) or in its group`);
  }
  return new ControlError(
    'LBD_NOT_RUNNING',
    `no lbd answers on ${socket} (${error.code}): is it running? --socket names another`,
  );
}
