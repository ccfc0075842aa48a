import { readFileSync } from 'node:fs';
import type { End } from '@lbd/netlab';

/** Packets of an interface since it was made. */
export interface InterfaceCounters {
  readonly received: number;
  readonly sent: number;
  /** That were to be sent, and that the other end had no room for. */
  readonly sendDropped: number;
}

/** Columns of /proc/net/dev behind the interface's name. */
const RECEIVED = 1;
const SENT = 9;
const SEND_DROPPED = 11;

/** The kernel's counters of an interface, whatever namespace it is in. */
export function interfaceCounters({ namespace, name }: End): InterfaceCounters {
  const lines = readFileSync(`/proc/${namespace.pid}/net/dev`, 'utf8').split('\n');
  const line = lines.find((text) => text.trimStart().startsWith(`${name}:`));
  if (line === undefined) throw new Error(`${namespace.name} has no interface ${name}`);
  const columns = line
    .slice(line.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  return { received: columns[RECEIVED]!, sent: columns[SENT]!, sendDropped: columns[SEND_DROPPED]! };
}

/** Time that a core has spent, in clock ticks (100 a second on Linux). */
export interface CoreTime {
  /** In anything but idle and waiting. */
  readonly busy: number;
  readonly user: number;
  readonly softirq: number;
  readonly total: number;
}

/** /proc/stat, by core. */
export function coreTimes(text = readFileSync('/proc/stat', 'utf8')): CoreTime[] {
  return text
    .split('\n')
    .filter((line) => /^cpu\d/.test(line))
    .map((line) => {
      const [user, nice, system, idle, iowait, irq, softirq, steal] = line.trim().split(/\s+/).slice(1, 9).map(Number);
      const busy = user! + nice! + system! + irq! + softirq! + steal!;
      return { busy, user: user! + nice!, softirq: softirq!, total: busy + idle! + iowait! };
    });
}

/** Shares of a core's time, 0 to 1. */
export interface CoreUse {
  readonly busy: number;
  readonly user: number;
  readonly softirq: number;
}

export function coreUse(before: readonly CoreTime[], after: readonly CoreTime[]): CoreUse[] {
  return after.map((now, core) => {
    const then = before[core]!;
    const total = Math.max(1, now.total - then.total);
    const share = (key: keyof CoreTime) => (now[key] - then[key]) / total;
    return { busy: share('busy'), user: share('user'), softirq: share('softirq') };
  });
}
