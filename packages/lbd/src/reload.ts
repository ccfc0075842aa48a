import { isDeepStrictEqual } from 'node:util';
import { type ConfiguredVip, type Lbd, type LbdConfig, runCommand, type VipKey } from '@lbd/control';

/** What can't be changed while lbd runs. */
const FIXED = [
  'interfaces',
  'workers',
  'memory',
  'buffers',
  'control',
  'log',
  'metrics',
  'plugins',
  'encaps',
  'static',
] as const;

/** A change that a reload makes. */
export interface Step {
  /** In words, for the log. */
  readonly what: string;
  readonly run: (lbd: Lbd) => unknown;
}

/** Keys that differ but need a restart. */
export function needRestart(before: LbdConfig, now: LbdConfig): string[] {
  const fixed: string[] = FIXED.filter((key) => !isDeepStrictEqual(before[key], now[key]));
  if (!isDeepStrictEqual(before.nat.options, now.nat.options)) fixed.push('nat.sessions or nat.timeouts');
  return fixed;
}

/**
 * The changes from one configuration to another. What is the same in both is not touched, so that its flows go on, and
 * neither is what only commands made.
 */
export function difference(before: LbdConfig, now: LbdConfig): Step[] {
  const steps: Step[] = [];
  if (!isDeepStrictEqual(before.lb, now.lb) && Object.keys(now.lb).length > 0) {
    steps.push({ what: 'lb conf', run: ({ lb }) => lb.lbConf(now.lb) });
  }
  const old = new Map(before.vips.map((entry) => [nameOf(entry.vip), entry]));
  const wanted = new Map(now.vips.map((entry) => [nameOf(entry.vip), entry]));
  for (const [name, { vip }] of old) {
    const same = isDeepStrictEqual(vip, wanted.get(name)?.vip);
    if (!same) steps.push({ what: `delete VIP ${name}`, run: ({ lb }) => lb.deleteVip(keyOf(vip)) });
  }
  for (const [name, entry] of wanted) {
    const was = old.get(name);
    const same = isDeepStrictEqual(was?.vip, entry.vip);
    if (!same) steps.push({ what: `add VIP ${name}`, run: ({ lb }) => lb.addVip(entry.vip) });
    steps.push(...serverSteps(name, same ? was!.servers : [], entry));
  }
  const has = (list: readonly unknown[], item: unknown) => list.some((other) => isDeepStrictEqual(other, item));
  for (const nat of before.nat.interfaces) {
    if (has(now.nat.interfaces, nat)) continue;
    const what = `nat${nat.family} off on ${nat.interface}`;
    steps.push({ what, run: ({ lb }) => lb.setNatInterface({ ...nat, enable: false }) });
  }
  for (const nat of now.nat.interfaces) {
    if (has(before.nat.interfaces, nat)) continue;
    steps.push({ what: `nat${nat.family} on ${nat.interface}`, run: ({ lb }) => lb.setNatInterface(nat) });
  }
  for (const line of now.commands) {
    if (!before.commands.includes(line)) steps.push({ what: line, run: (lbd) => runCommand(lbd, line) });
  }
  return steps;
}

function serverSteps(name: string, before: ConfiguredVip['servers'], { vip, servers }: ConfiguredVip): Step[] {
  const key = keyOf(vip);
  const kept = new Set(servers.map(({ address }) => address));
  const gone = before.filter(({ address }) => !kept.has(address));
  const weights = new Map(before.map(({ address, weight }) => [address, weight]));
  const changed = servers.filter(({ address, weight }) => weights.get(address) !== weight);
  const steps: Step[] = [];
  if (gone.length > 0) {
    const addresses = gone.map(({ address }) => address);
    const what = `delete ${addresses.join(' ')} of VIP ${name}`;
    steps.push({ what, run: ({ lb }) => lb.deleteServers({ vip: key, addresses, flush: false }) });
  }
  for (const weight of new Set(changed.map((server) => server.weight))) {
    const addresses = changed.filter((server) => server.weight === weight).map(({ address }) => address);
    const what = `${addresses.join(' ')} of VIP ${name}: weight ${weight}`;
    steps.push({ what, run: ({ lb }) => lb.addServers({ vip: key, addresses, weight, flush: false }) });
  }
  return steps;
}

function keyOf({ prefix, protocol, port }: VipKey): VipKey {
  return protocol === undefined || port === undefined ? { prefix } : { prefix, protocol, port };
}

function nameOf(vip: VipKey): string {
  return Object.values(keyOf(vip)).join(' ');
}
