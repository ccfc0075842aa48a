import { type LbdConfig, loadConfig } from '@lbd/control';
import { pino } from 'pino';
import { Daemon } from '../daemon.ts';
import { difference, needRestart } from '../reload.ts';
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
  let config: LbdConfig;
  let log: ReturnType<typeof logger>;
  try {
    config = loadConfig(file);
    log = logger(config.log.level);
    daemon = await Daemon.start(config, { log, onFailure: ended });
  } catch (error) {
    report(error);
    return 1;
  }
  notify('READY=1');
  const running = daemon;
  let reloaded = Promise.resolve();
  process.on('SIGHUP', () => {
    reloaded = reloaded.then(async () => {
      config = await reload(file, config, running, log);
    });
  });
  const reason = await end;
  notify('STOPPING=1');
  const failed = reason instanceof Error;
  if (failed) log.fatal({ err: reason }, 'a worker failed, lbd ends');
  else log.info({ signal: reason }, 'lbd ends');
  const failures = await daemon.close();
  for (const error of failures) log.error({ err: error }, 'something could not be undone');
  return failed || failures.length > 0 ? 1 : 0;
}

/** SIGHUP: what differs in the file is changed, all else is left alone. @returns the configuration from now on */
async function reload(
  file: string,
  before: LbdConfig,
  daemon: Daemon,
  log: ReturnType<typeof logger>,
): Promise<LbdConfig> {
  let now: LbdConfig;
  try {
    now = loadConfig(file);
  } catch (error) {
    log.error({ reason: (error as Error).message }, 'the configuration is wrong, nothing was changed');
    return before;
  }
  const restart = needRestart(before, now);
  if (restart.length > 0) log.warn({ keys: restart }, 'these changes take effect after a restart');
  const steps = difference(before, now);
  for (const { what, run } of steps) {
    try {
      await run(daemon.lbd);
      log.info({ change: what }, 'changed');
    } catch (error) {
      log.error({ change: what, reason: (error as Error).message }, 'refused');
    }
  }
  log.info({ changes: steps.length }, 'configuration reloaded');
  return now;
}

/** Written at once: nothing may be lost when the process ends. */
function logger(level: string) {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ sync: true }));
}
