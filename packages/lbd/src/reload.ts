import { isDeepStrictEqual } from 'node:util';
import {
  type ConfiguredServer,
  type ConfiguredVip,
  isCoded,
  type Lbd,
  type LbdConfig,
  type LoadBalancerModel,
  runCommand,
  type VipKey,
} from '@lbd/control';

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

/** What of the configurations is in force. A change that was refused is not: the next reload tries it again. */
export interface InForce {
  /** The configuration of the start. */
  readonly start: LbdConfig;
  lb: LbdConfig['lb'];
  readonly vips: Map<string, ConfiguredVip>;
  nat: LbdConfig['nat']['interfaces'];
  commands: readonly string[];
}

export function inForce(start: LbdConfig): InForce {
  const { lb, vips, nat, commands } = start;
  return { start, lb, vips: new Map(vips.map((entry) => [nameOf(entry.vip), entry])), nat: nat.interfaces, commands };
}

/** A change that a reload makes. */
export interface Step {
  /** In words, for the log. */
  readonly what: string;
  /** Makes it, and notes it in what is in force. @throws if it is refused; then nothing has changed */
  readonly run: (lbd: Lbd, is: InForce) => Promise<void>;
}

/** Keys that differ but need a restart. */
export function needRestart(is: InForce, now: LbdConfig): string[] {
  const keys: string[] = FIXED.filter((key) => !isDeepStrictEqual(is.start[key], now[key]));
  if (!isDeepStrictEqual(is.start.nat.options, now.nat.options)) keys.push('nat.sessions or nat.timeouts');
  // A setting that is no longer told, or what a command did, stays.
  for (const key of Object.keys(is.lb)) if (!(key in now.lb)) keys.push(`lb.${kebabCase(key)}`);
  if (is.commands.some((line) => !now.commands.includes(line))) keys.push('commands');
  return keys;
}

/**
 * The changes from what is in force to a configuration. What is the same in both is not touched, so that its flows go on, and
 * neither is what only commands made.
 */
export function difference(is: InForce, now: LbdConfig): Step[] {
  const wanted = new Map(now.vips.map((entry) => [nameOf(entry.vip), entry]));
  return [...lbSteps(is, now.lb), ...vipSteps(is, wanted), ...natSteps(is, now), ...commandSteps(is, now)];
}

function lbSteps(is: InForce, wanted: LbdConfig['lb']): Step[] {
  if (isDeepStrictEqual(is.lb, { ...is.lb, ...wanted })) return [];
  const run: Step['run'] = async ({ lb }, is) => {
    await lb.lbConf(wanted);
    is.lb = { ...is.lb, ...wanted };
  };
  return [{ what: 'lb conf', run }];
}

/** Deletions first: a VIP may get what another had, its node port say. */
function vipSteps(is: InForce, wanted: ReadonlyMap<string, ConfiguredVip>): Step[] {
  const steps: Step[] = [];
  const others = [...is.vips].filter(([name, { vip }]) => !isDeepStrictEqual(vip, wanted.get(name)?.vip));
  for (const [name, { vip }] of others) {
    const run: Step['run'] = async ({ lb }, is) => {
      await unlessGone(() => lb.deleteVip(keyOf(vip)));
      is.vips.delete(name);
    };
    steps.push({ what: `delete VIP ${name}`, run });
  }
  for (const [name, entry] of wanted) {
    const was = is.vips.get(name);
    const same = isDeepStrictEqual(was?.vip, entry.vip);
    if (same) steps.push(...serverSteps(name, was!.servers, entry));
    else steps.push({ what: `add VIP ${name}`, run: ({ lb }, is) => addVip(lb, is, entry, was) });
  }
  return steps;
}

/** Adds a VIP with its servers. If that is refused, the one that was there before it comes back. */
async function addVip(lb: LoadBalancerModel, is: InForce, entry: ConfiguredVip, was?: ConfiguredVip): Promise<void> {
  const name = nameOf(entry.vip);
  if (is.vips.has(name)) throw new Error('the VIP that it replaces is still there');
  try {
    await makeVip(lb, entry);
    is.vips.set(name, entry);
  } catch (error) {
    if (was) await putBack(lb, is, was, error as Error);
    throw error;
  }
}

async function putBack(lb: LoadBalancerModel, is: InForce, was: ConfiguredVip, why: Error): Promise<void> {
  try {
    await makeVip(lb, was);
    is.vips.set(nameOf(was.vip), was);
  } catch (error) {
    throw new Error(`${why.message}; and the VIP before it could not be put back: ${(error as Error).message}`);
  }
}

async function makeVip(lb: LoadBalancerModel, { vip, servers }: ConfiguredVip): Promise<void> {
  await lb.addVip(vip);
  try {
    for (const change of byWeight(servers)) await lb.addServers({ vip: keyOf(vip), ...change, flush: false });
  } catch (error) {
    await lb.deleteVip(keyOf(vip));
    throw error;
  }
}

/** New servers first: a VIP whose servers are all others now is never without any. */
function serverSteps(name: string, before: readonly ConfiguredServer[], { vip, servers }: ConfiguredVip): Step[] {
  const key = keyOf(vip);
  const weights = new Map(before.map(({ address, weight }) => [address, weight]));
  const kept = new Set(servers.map(({ address }) => address));
  const gone = before.filter(({ address }) => !kept.has(address)).map(({ address }) => address);
  const changes = byWeight(servers.filter(({ address, weight }) => weights.get(address) !== weight));
  const steps: Step[] = changes.map(({ addresses, weight }) => ({
    what: `${addresses.join(' ')} of VIP ${name}: weight ${weight}`,
    async run({ lb }, is) {
      await lb.addServers({ vip: key, addresses, weight, flush: false });
      const others = is.vips.get(name)!.servers.filter(({ address }) => !addresses.includes(address));
      is.vips.set(name, { vip, servers: [...others, ...addresses.map((address) => ({ address, weight }))] });
    },
  }));
  const run: Step['run'] = async ({ lb }, is) => {
    const there = is.vips.get(name)!.servers;
    const missing = servers.find(({ address }) => !there.some((server) => server.address === address));
    if (missing) throw new Error(`${missing.address}, which the VIP is to have, was refused`);
    try {
      await lb.deleteServers({ vip: key, addresses: gone, flush: false });
    } catch (error) {
      if (!isGone(error)) throw error;
      for (const address of gone)
        await unlessGone(() => lb.deleteServers({ vip: key, addresses: [address], flush: false }));
    }
    is.vips.set(name, { vip, servers: there.filter(({ address }) => !gone.includes(address)) });
  };
  if (gone.length > 0) steps.push({ what: `delete ${gone.join(' ')} of VIP ${name}`, run });
  return steps;
}

function natSteps(is: InForce, now: LbdConfig): Step[] {
  const has = (list: readonly unknown[], item: unknown) => list.some((other) => isDeepStrictEqual(other, item));
  const off = is.nat
    .filter((nat) => !has(now.nat.interfaces, nat))
    .map(
      (nat): Step => ({
        what: `nat${nat.family} off on ${nat.interface}`,
        async run({ lb }, is) {
          await lb.setNatInterface({ ...nat, enable: false });
          is.nat = is.nat.filter((other) => other !== nat);
        },
      }),
    );
  const on = now.nat.interfaces
    .filter((nat) => !has(is.nat, nat))
    .map(
      (nat): Step => ({
        what: `nat${nat.family} on ${nat.interface}`,
        async run({ lb }, is) {
          await lb.setNatInterface(nat);
          is.nat = [...is.nat, nat];
        },
      }),
    );
  return [...off, ...on];
}

/** Lines that are new. Those that are gone are forgotten: should they come again, they are run again. */
function commandSteps(is: InForce, { commands }: LbdConfig): Step[] {
  const fresh = commands.filter((line) => !is.commands.includes(line));
  return fresh.map((line) => ({
    what: line,
    async run(lbd, is) {
      await runCommand(lbd, line);
      is.commands = [...is.commands, line];
    },
  }));
}

/** The lines that are gone from the file, see {@link difference}. */
export function forgetCommands(is: InForce, { commands }: LbdConfig): void {
  is.commands = is.commands.filter((line) => commands.includes(line));
}

/** What a command has deleted already is as the file wants it. */
async function unlessGone(remove: () => unknown): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

function isGone(error: unknown): boolean {
  return isCoded(error) && (error.code === 'LBD_LB_NO_VIP' || error.code === 'LBD_LB_NO_AS');
}

function byWeight(servers: readonly ConfiguredServer[]): { addresses: string[]; weight: number }[] {
  return [...new Set(servers.map(({ weight }) => weight))].map((weight) => ({
    addresses: servers.filter((server) => server.weight === weight).map(({ address }) => address),
    weight,
  }));
}

function keyOf({ prefix, protocol, port }: VipKey): VipKey {
  return protocol === undefined || port === undefined ? { prefix } : { prefix, protocol, port };
}

function nameOf(vip: VipKey): string {
  return Object.values(keyOf(vip)).join(' ');
}

/** A setting as the file names it. */
function kebabCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
