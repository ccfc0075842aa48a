import { type LbdConfig, loadConfig } from '@lbd/control';
import { pino } from 'pino';
import { Daemon } from '../daemon.ts';
import { checkVipEncaps } from '../encaps.ts';
import { difference, forgetCommands, type InForce, inForce, needRestart } from '../reload.ts';
import { notify } from '../systemd.ts';
import { report } from './report.ts';

/** `lbd`: runs until it is told to end. @returns the exit code */
export async function run(file: string): Promise<number> {
  let ended = (_reason: string | Error) => {};
  const end = new Promise<string | Error>((resolve) => {
    ended = resolve;
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ended(signal));
  // A SIGHUP that comes before lbd runs must not end it: it counts from then on.
  let hangUps = 0;
  let hungUp = () => {
    hangUps++;
  };
  process.on('SIGHUP', () => hungUp());
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
  const is = inForce(config);
  let reloaded = Promise.resolve();
  hungUp = () => {
    reloaded = reloaded.then(() => reload(file, is, running, log));
  };
  if (hangUps > 0) hungUp();
  const reason = await end;
  hungUp = () => {};
  notify('STOPPING=1');
  const failed = reason instanceof Error;
  if (failed) log.fatal({ err: reason }, 'a worker failed, lbd ends');
  else log.info({ signal: reason }, 'lbd ends');
  const failures = await daemon.close();
  for (const error of failures) log.error({ err: error }, 'something could not be undone');
  return failed || failures.length > 0 ? 1 : 0;
}

/** SIGHUP: what differs in the file is changed, all else is left alone. */
async function reload(file: string, is: InForce, daemon: Daemon, log: ReturnType<typeof logger>): Promise<void> {
  let now: LbdConfig;
  try {
    now = loadConfig(file);
    checkVipEncaps(now, await daemon.lbd.lb.encaps());
  } catch (error) {
    log.error({ reason: (error as Error).message }, 'the configuration is wrong, nothing was changed');
    return;
  }
  const restart = needRestart(is, now);
  if (restart.length > 0) log.warn({ keys: restart }, 'these changes take effect after a restart');
  const steps = difference(is, now);
  forgetCommands(is, now);
  let refused = 0;
  for (const { what, run } of steps) {
    try {
      await run(daemon.lbd, is);
      log.info({ change: what }, 'changed');
    } catch (error) {
      refused++;
      log.error({ change: what, reason: (error as Error).message }, 'refused');
    }
  }
  const changes = steps.length - refused;
  if (refused > 0) log.error({ changes, refused }, 'configuration reloaded, but for what was refused');
  else log.info({ changes }, 'configuration reloaded');
}

/** Written at once: nothing may be lost when the process ends. */
function logger(level: string) {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ sync: true }));
}
