import { createHash, randomBytes } from 'node:crypto';
import { Agent, createServer, get, type IncomingMessage, request as open } from 'node:http';

/** What to request. */
export interface HttpLoad {
  readonly url: string;
  /** Requests in all; undefined: until `httpStop`. */
  readonly requests?: number;
  /** Connections at a time; 1 unless told. */
  readonly connections?: number;
  /** Requests before a connection is closed and a new one opened; undefined: kept open until the end. */
  readonly perConnection?: number;
  /** Milliseconds to wait between two requests of a connection; 0 unless told. */
  readonly interval?: number;
  /** Milliseconds after which a request has failed; 5000 unless told. */
  readonly timeout?: number;
}

/** One TCP connection's story. */
export interface HttpFlow {
  readonly localPort: number;
  /** The names of the servers that answered, each once, in order: of length 1 if all went well. */
  readonly servers: string[];
  readonly ok: number;
}

/** What became of a load. */
export interface HttpResult {
  readonly ok: number;
  readonly failed: number;
  /** Answers by server name. */
  readonly servers: Record<string, number>;
  readonly flows: HttpFlow[];
  /** The first failures. */
  readonly errors: string[];
  readonly seconds: number;
}

const ERRORS_KEPT = 20;

export function httpMethods(name: string) {
  let served = 0;
  let load: { stopping: boolean; readonly result: Promise<HttpResult>; readonly so: () => HttpResult } | undefined;

  return {
    /**
     * Starts a server that answers with its name, followed by `?bytes=` more bytes if asked for; an upload (PUT) with the
     * SHA-256 of what came.
     */
    httpServer({ port, address = '0.0.0.0' }: { port: number; address?: string }): Promise<void> {
      const server = createServer((request, response) => {
        served++;
        const bytes = Number(new URL(request.url!, 'http://x').searchParams.get('bytes') ?? 0);
        response.setHeader('x-server', name);
        if (request.method === 'PUT') {
          const hash = createHash('sha256');
          request.on('data', (chunk) => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')));
          return;
        }
        response.end(`${name}\n${'x'.repeat(bytes)}`);
      });
      server.keepAliveTimeout = 60_000;
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, address, resolve);
      });
    },

    /** Sends a file of so many random bytes; resolves with the server that got it. Rejects if it got something else. */
    httpUpload({ url, bytes, timeout = 30_000 }: { url: string; bytes: number; timeout?: number }): Promise<string> {
      const file = randomBytes(bytes);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => outgoing.destroy(new Error(`not sent within ${timeout} ms`)), timeout);
        const outgoing = open(url, { method: 'PUT', agent: new Agent() }, async (response) => {
          let digest = '';
          for await (const chunk of response.setEncoding('utf8')) digest += chunk;
          clearTimeout(timer);
          if (digest === createHash('sha256').update(file).digest('hex')) resolve(String(response.headers['x-server']));
          else reject(new Error('the server got other bytes'));
        });
        outgoing.on('error', (error) => {
          clearTimeout(timer);
          reject(error);
        });
        outgoing.end(file);
      });
    },

    /** Requests answered by this actor's servers. */
    httpServed: () => served,

    /** Makes requests, and resolves when all are answered or have failed. */
    async httpLoad(options: HttpLoad & { readonly requests: number }): Promise<HttpResult> {
      return start(options).result;
    },

    /** Starts requests that go on until `httpStop`. */
    httpStart(options: HttpLoad): void {
      if (load) throw new Error('a load is running already');
      load = start(options);
    },

    /** How the running load is doing. */
    httpSoFar(): HttpResult {
      if (!load) throw new Error('no load is running');
      return load.so();
    },

    /** Ends the running load after the requests under way. */
    httpStop(): Promise<HttpResult> {
      if (!load) throw new Error('no load is running');
      const { result } = load;
      load.stopping = true;
      load = undefined;
      return result;
    },
  };
}

function start(options: HttpLoad) {
  const { url, requests = Infinity, connections = 1, perConnection = Infinity, interval = 0, timeout = 5000 } = options;
  const begun = performance.now();
  const servers: Record<string, number> = {};
  const flows = new Map<string, { localPort: number; servers: string[]; ok: number }>();
  const errors: string[] = [];
  let [given, ok, failed, opened] = [0, 0, 0, 0];

  const state = {
    stopping: false,
    so: (): HttpResult => ({
      ok,
      failed,
      servers,
      flows: [...flows.values()],
      errors,
      seconds: (performance.now() - begun) / 1000,
    }),
    result: undefined as unknown as Promise<HttpResult>,
  };

  const connection = async () => {
    while (!state.stopping && given < requests) {
      const agent = new Agent({ keepAlive: perConnection > 1, maxSockets: 1 });
      const flow = opened++;
      for (let sent = 0; sent < perConnection && !state.stopping && given < requests; sent++) {
        given++;
        try {
          record(flow, await request(url, agent, timeout));
        } catch (error) {
          failed++;
          if (errors.length < ERRORS_KEPT) errors.push(error instanceof Error ? error.message : String(error));
          break; // the connection is gone; the next one starts afresh
        }
        if (interval > 0) await new Promise((resolve) => setTimeout(resolve, interval));
      }
      agent.destroy();
    }
  };

  const record = (flow: number, { server, localPort }: Answer) => {
    ok++;
    servers[server] = (servers[server] ?? 0) + 1;
    // The agent may open a new connection where the server closed the old one: that is another flow.
    const key = `${flow}/${localPort}`;
    const entry = flows.get(key) ?? { localPort, servers: [], ok: 0 };
    flows.set(key, entry);
    entry.ok++;
    if (!entry.servers.includes(server)) entry.servers.push(server);
  };

  state.result = Promise.all(Array.from({ length: connections }, connection)).then(state.so);
  return state;
}

interface Answer {
  readonly server: string;
  readonly localPort: number;
}

function request(url: string, agent: Agent, timeout: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = get(url, { agent }, async (response: IncomingMessage) => {
      const localPort = response.socket.localPort!;
      let bytes = 0;
      try {
        for await (const chunk of response) bytes += chunk.length;
      } catch (error) {
        reject(error);
        return;
      }
      clearTimeout(timer);
      const server = response.headers['x-server'];
      const expected = Number(response.headers['content-length']);
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      else if (typeof server !== 'string') reject(new Error('the answer does not name its server'));
      else if (bytes !== expected) reject(new Error(`${bytes} bytes instead of ${expected}`));
      else resolve({ server, localPort });
    });
    // Of the whole exchange: a socket's own timeout starts anew with each byte, and covers no connection attempt.
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${timeout} ms`)), timeout);
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}
