import { loadConfig } from '@lbd/control';
import { pino } from 'pino';
import { Daemon } from '../daemon.ts';
import { notify } from '../systemd.ts';
import { report } from './report.ts';

/** `lbd`: runs until it is told to end. @returns the exit code */
export async function run(file: string): Promise<number> {
  let ended = (_reason: string | Error) => {};
  const end = new Promise<string | Error>((resolve) => {
    ended = resolve;
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ended(signal));
  let daemon: Daemon;
  let log: ReturnType<typeof logger>;
  try {
    const config = loadConfig(file);
    log = logger(config.log.level);
    daemon = await Daemon.start(config, { log, onFailure: ended });
  } catch (error) {
    report(error);
    return 1;
  }
  notify('READY=1');
  const reason = await end;
  notify('STOPPING=1');
  const failed = reason instanceof Error;
  if (failed) log.fatal({ err: reason }, 'a worker failed, lbd ends');
  else log.info({ signal: reason }, 'lbd ends');
  const failures = await daemon.close();
  for (const error of failures) log.error({ err: error }, 'something could not be undone');
  return failed || failures.length > 0 ? 1 : 0;
}

/** Written at once: nothing may be lost when the process ends. */
function logger(level: string) {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ sync: true }));
}
