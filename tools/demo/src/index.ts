// The demonstration: chooses the best way that this machine allows, says which and why, and runs it.
//   --keep           leaves the lab up, and says how to play with it
//   --driver <name>  af_xdp, af_packet or pcap, instead of the best
import { parseArgs } from 'node:util';
import { type BalancerLab, privileges } from '@lbd/netlab';
import { type LiveDriver, live, printInvitation } from './live.ts';
import { replay } from './replay.ts';
import { bold, heading, line, red } from './screen.ts';

const DRIVERS = ['af_xdp', 'af_packet', 'pcap'] as const;
type Driver = (typeof DRIVERS)[number];

const WORDS: Readonly<Record<Driver, string>> = {
  af_xdp: 'AF_XDP sockets in native mode, between network namespaces',
  af_packet: 'AF_PACKET sockets, between network namespaces inside a user namespace',
  pcap: 'replaying a capture, without a network',
};

/** The way to go, and why. */
function choose(asked: string | undefined): { driver: Driver; why: string } {
  if (asked !== undefined) {
    const driver = DRIVERS.find((name) => name === asked);
    if (!driver) throw new Error(`--driver ${asked}: must be ${DRIVERS.join(', ')}`);
    return { driver, why: 'as asked' };
  }
  const { kind, why } = privileges();
  if (kind === 'root') return { driver: 'af_xdp', why: 'root may load XDP programs' };
  if (kind === 'user-namespace') return { driver: 'af_packet', why: `${why}, so no XDP; user namespaces are allowed` };
  return { driver: 'pcap', why };
}

/** Rejects on the first signal to end, or when whoever started us is gone. */
function interruption(keep: () => boolean): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => reject(new Interrupted(signal)));
    process.on('disconnect', () => {
      if (!keep()) reject(new Interrupted('SIGTERM'));
    });
  });
}

class Interrupted extends Error {
  readonly signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP';
  constructor(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') {
    super(signal);
    this.signal = signal;
  }
}

const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false }, driver: { type: 'string' } } });
  const { driver, why } = choose(values.driver);
  line(bold('lbd: a layer-4 load balancer at work'));
  line(`  ${WORDS[driver]}`);
  line(`  (${why})`);

  // A reader that goes away (npm start | head) is no reason to leave a lab half made.
  process.stdout.on('error', () => {});
  let lab: BalancerLab | undefined;
  let kept = false;
  const interrupted = interruption(() => kept);
  interrupted.catch(() => {}); // also if it comes when nobody waits any more
  try {
    const run = driver === 'pcap' ? replay() : live(driver as LiveDriver, (made) => (lab = made));
    run.catch(() => {}); // an interrupted run fails in its own ways
    const good = await Promise.race([run, interrupted]);
    if (values.keep && lab) {
      printInvitation(lab);
      kept = true;
      // Tells start.mjs, which then returns to the shell; a terminal that is closed does not end the lab.
      process.send?.('up');
      await interrupted;
    }
    return good ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    if (!kept) heading('Interrupted: taking the lab down');
    return kept ? 0 : EXIT_CODES[error.signal];
  } finally {
    await lab?.destroy();
    if (process.connected) process.disconnect();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  line(red(`\nthe demonstration failed: ${(error as Error).message}`));
  process.exitCode = 1;
}
// Whatever an interrupted run is still waiting for, the lab is gone.
process.exit();
