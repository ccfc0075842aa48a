import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import Fastify, { type FastifyInstance } from 'fastify';
import { runCommand } from '../cli/cli.ts';
import { ControlError, isCoded } from '../errors.ts';
import type { Lbd } from '../model.ts';
import { check } from '../values/check.ts';
import * as fields from '../values/fields.ts';
import { openApi } from './openapi.ts';
import { messages } from './vpp.ts';

export interface ControlServerOptions {
  /** Path of the Unix socket; its folder is made if need be. Only its owner and group may use it. */
  readonly socket: string;
  readonly version: string;
  /** What GET /metrics answers, in Prometheus' text format; left out, there is no such page. */
  readonly metrics?: () => Promise<string>;
  /** Told of every fault of our own (a user's errors are answered, not logged). */
  readonly onFault?: (error: unknown) => void;
  /** Told of every command that was run. */
  readonly onCommand?: (command: string) => void;
}

export interface ControlServer {
  readonly socket: string;
  close(): Promise<void>;
}

/** Milliseconds that requests have to end. */
const PATIENCE_MS = 1000;

/** Items of a list that are written at a time. */
const LONG_LIST = 100;

const commandBody = fields.record({
  command: fields.line('a command'),
  answer: fields.word('text', 'data').optional(),
});

/** The API without its socket; for tests, `inject` reaches it. */
export function controlApp(lbd: Lbd, options: Omit<ControlServerOptions, 'socket'>): FastifyInstance {
  const app = Fastify({ logger: false, bodyLimit: 1 << 20 });
  const inOrder = queue();
  app.setErrorHandler((error: Error & { statusCode?: number; code?: string }, _request, reply) => {
    if (isCoded(error)) return reply.code(400).send({ code: error.code, message: error.message });
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return reply.code(error.statusCode).send({ code: 'LBD_BAD_REQUEST', message: error.message });
    }
    options.onFault?.(error);
    return reply.code(500).send({ code: 'LBD_INTERNAL', message: `a fault in lbd: ${error.message}` });
  });
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({
      code: 'LBD_NOT_FOUND',
      message: `there is no ${request.method} ${request.url}: GET /openapi.json says what there is`,
    }),
  );
  app.post('/cli', async (request, reply) => {
    const { command, answer: wanted } = check(commandBody, request.body);
    const { text, data } = await inOrder(async () => {
      const answer = await runCommand(lbd, command);
      options.onCommand?.(command);
      // What nobody asks for is not even made.
      return { text: wanted === 'data' ? '' : answer.text, data: wanted === 'text' ? null : answer.data };
    });
    if (wanted === 'text') return reply.type('text/plain; charset=utf-8').send(text);
    if (wanted === 'data') return reply.type('application/json; charset=utf-8').send(json(data));
    return { text, data };
  });
  for (const [name, { body, run }] of Object.entries(messages)) {
    app.post(`/api/${name}`, (request) => {
      const checked = check(body, request.body ?? {});
      return inOrder(() => run(lbd, checked as never));
    });
  }
  app.get('/openapi.json', async () => openApi(options.version));
  const { metrics } = options;
  if (metrics) {
    app.get('/metrics', async (_request, reply) => reply.type('text/plain; version=0.0.4').send(await metrics()));
  }
  return app;
}

/** Serves the control API. @throws ControlError LBD_SOCKET_IN_USE, LBD_SOCKET */
export async function serveControl(lbd: Lbd, options: ControlServerOptions): Promise<ControlServer> {
  const { socket } = options;
  const app = controlApp(lbd, options);
  try {
    mkdirSync(dirname(socket), { recursive: true });
    if (await answers(socket)) {
      throw new ControlError('LBD_SOCKET_IN_USE', `another lbd answers on ${socket}: choose another control.socket`);
    }
    const there = lstatSync(socket, { throwIfNoEntry: false });
    if (there && !there.isSocket()) throw new Error('it is there, and no socket');
    if (there) rmSync(socket); // left behind by one that was killed
    await app.listen({ path: socket });
    chmodSync(socket, 0o660);
  } catch (error) {
    await app.close();
    if (isCoded(error)) throw error;
    throw new ControlError('LBD_SOCKET', `can't listen on ${socket}: ${(error as Error).message}`);
  }
  return { socket, close: () => end(app) };
}

/** Answers what is under way; who only holds a connection open is not waited for. */
async function end(app: FastifyInstance): Promise<void> {
  const patience = setTimeout(() => app.server.closeAllConnections(), PATIENCE_MS);
  await app.close();
  clearTimeout(patience);
}

/** JSON, of long lists piece by piece: a million servers in one go would take a second and a gigabyte. */
function json(data: unknown): string | Readable {
  return Array.isArray(data) && data.length > LONG_LIST ? Readable.from(pieces(data)) : JSON.stringify(data);
}

function* pieces(list: readonly unknown[]): Generator<string> {
  for (let i = 0; i < list.length; i += LONG_LIST) {
    const piece = JSON.stringify(list.slice(i, i + LONG_LIST)).slice(1, -1);
    yield `${i === 0 ? '[' : ','}${piece}`;
  }
  yield ']';
}

/** Runs one thing after the other, in the order they came. */
function queue(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const next = last.then(task);
    last = next.catch(() => {});
    return next;
  };
}

/** Whether somebody listens on the socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
