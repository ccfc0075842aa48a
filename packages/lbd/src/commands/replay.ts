import { ControlError, type LbdConfig, loadConfig, parseCommand, runCommand } from '@lbd/control';
import { Daemon } from '../daemon.ts';
import { report } from './report.ts';

const DEFAULT_COMMANDS = ['show interface', 'show errors', 'show lb vips verbose'];

/** `lbd replay`: captures in, captures out, and what the commands show. @returns the exit code */
export async function replay(file: string, commands: readonly string[]): Promise<number> {
  let daemon: Daemon | undefined;
  try {
    const config = loadConfig(file);
    checkDrivers(config);
    const wanted = commands.length > 0 ? commands : DEFAULT_COMMANDS;
    for (const command of wanted) parseCommand(command);
    daemon = await play(config);
    for (const command of wanted) {
      const { text } = await runCommand(daemon.lbd, command);
      process.stdout.write(`# ${command}\n${text === '' ? '' : `${text}\n`}\n`);
    }
  } catch (error) {
    report(error);
    return 1;
  } finally {
    await daemon?.close();
  }
  return 0;
}

/** What goes wrong without ending lbd: an error, or what there is to say of it. */
function say({ err, ...data }: { err?: unknown }, message: string): void {
  if (err !== undefined) report(err);
  else process.stderr.write(`lbd: ${message}: ${JSON.stringify(data)}\n`);
}

/** Runs a daemon without a control socket until every capture has ended. */
async function play(config: LbdConfig): Promise<Daemon> {
  let fail = (_error: Error) => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const quiet = { info: () => {}, warn: () => {}, error: say };
  const daemon = await Daemon.start(config, { log: quiet, control: false, onFailure: fail });
  try {
    await Promise.race([daemon.finished, failed]);
  } catch (error) {
    await daemon.close();
    throw error;
  }
  return daemon;
}

function checkDrivers(config: LbdConfig): void {
  for (const { name, driver } of config.interfaces) {
    if (driver === 'pcap') continue;
    throw new ControlError('LBD_REPLAY', `replay is for interfaces with driver pcap: ${name} has driver ${driver}`);
  }
}
