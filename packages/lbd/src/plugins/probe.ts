import { Worker } from 'node:worker_threads';
import { ControlError } from '@lbd/control';

/** What the thread is to try. */
export interface ProbeTask {
  /** Name of the package. */
  readonly plugin: string;
  /** What the configuration says of encaps, by their names. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Size of the memory to try it in, bytes. */
  readonly memory: number;
}

export interface ProbeAnswer {
  /** Why the plugin is refused; left out if it is good. */
  readonly refused?: string;
}

/** A good plugin takes some tenths of a second. */
const TIME_LIMIT_MS = 10_000;

/**
 * Tries a plugin in a thread of its own before lbd loads it: imports it, checks its encaps, allocates, links their nodes
 * and calls their kernels.
 * @throws ControlError LBD_PLUGIN, with the plugin's name and the reason
 */
export async function probePlugin(task: ProbeTask, limit = TIME_LIMIT_MS): Promise<void> {
  const { refused } = await answerOf(task, limit);
  if (refused === undefined) return;
  throw new ControlError('LBD_PLUGIN', `plugin ${task.plugin} is refused: ${refused}`);
}

async function answerOf(task: ProbeTask, limit: number): Promise<ProbeAnswer> {
  const thread = new Worker(new URL('../../dist/plugins/probe-thread.js', import.meta.url), {
    workerData: task,
    name: `probe of ${task.plugin}`,
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<ProbeAnswer>((resolve) => {
      thread.once('message', resolve);
      thread.once('error', (error) => resolve({ refused: String((error as Error)?.message ?? error) }));
      thread.once('exit', (code) => resolve({ refused: `it ends the thread that loads it (code ${code})` }));
      timer = setTimeout(
        () => resolve({ refused: `it was not loaded within ${limit / 1000} s: does it loop, or wait for ever?` }),
        limit,
      );
    });
  } finally {
    clearTimeout(timer);
    await thread.terminate();
  }
}
