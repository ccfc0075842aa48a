// The program of an Actor: it waits for calls over IPC and does what they say with Node's own sockets.
import { echoMethods } from './echo.ts';
import { httpMethods } from './http.ts';

const name = process.argv[2] ?? 'actor';

const methods = {
  /** Answers as soon as the process is up. */
  ready: () => true,
  ...httpMethods(name),
  ...echoMethods(name),
};

/** What an actor can do: HTTP (http.ts) and echo over TCP and UDP (echo.ts). */
export type Methods = typeof methods;

process.on('message', async (message) => {
  const { id, method, args } = message as { id: number; method: keyof Methods; args: never[] };
  try {
    const value = await (methods[method] as (...args: never[]) => unknown)(...args);
    process.send!({ id, value });
  } catch (error) {
    process.send!({ id, error: `${method}: ${error instanceof Error ? (error.stack ?? error.message) : error}` });
  }
});
process.on('disconnect', () => process.exit());
