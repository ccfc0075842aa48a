import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * A process that keeps namespaces alive. It reads its standard input until the end, and that pipe is held by us alone:
 * however we end, SIGKILL included, the holder ends too, and the kernel takes its namespaces and links down.
 */
export interface Holder {
  readonly pid: number;
  readonly child: ChildProcess;
}

const READY = 'ready\n';

/**
 * Starts a holder in new namespaces.
 * @param enter command that enters the user namespace to do it in; empty for our own
 * @param flags of unshare(1)
 */
export async function startHolder(enter: readonly string[], flags: readonly string[]): Promise<Holder> {
  // Like `ip netns exec`: a /sys that shows this namespace's interfaces. Where that is forbidden, one does without.
  // An IPv6 address is usable at once, without waiting for duplicate address detection.
  const script = [
    'mount -t sysfs sysfs /sys',
    'ip link set lo up',
    'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad',
    'echo 0 > /proc/sys/net/ipv6/conf/default/router_solicitations',
  ];
  const shell = `{ ${script.join('; ')}; } >/dev/null 2>&1; echo ready; exec cat >/dev/null`;
  const command = [...enter, 'unshare', ...flags, 'sh', '-c', shell];
  // In a session of its own, so that Ctrl-C on the terminal does not pull the namespaces away from under a clean-up.
  const child = spawn(command[0], command.slice(1), { stdio: 'pipe', detached: true });
  await new Promise<void>((resolve, reject) => {
    let out = '';
    let errors = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
      if (out.endsWith(READY)) resolve();
    });
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    child.on('error', reject);
    child.on('close', () => reject(new Error(`cannot make namespaces: ${errors.trim()}`)));
  });
  // A holder must not keep our event loop alive.
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as { unref(): void }).unref();
  return { pid: child.pid!, child };
}

/** Ends a holder, once nothing else runs in its namespaces. */
export function endHolder({ child }: Holder): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  child.ref();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** The processes in the network namespace of this process, itself excepted. */
export function companions(pid: number): number[] {
  const namespace = networkNamespace(pid);
  if (namespace === undefined) return [];
  return readdirSync('/proc')
    .map(Number)
    .filter((other) => other > 0 && other !== pid && networkNamespace(other) === namespace && !isZombie(other));
}

function networkNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined; // it has ended, or is not ours to look at
  }
}

function isZombie(pid: number): boolean {
  try {
    return /^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
