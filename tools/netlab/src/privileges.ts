import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What this process may do with network namespaces. */
export interface Privileges {
  /**
   * `root`: namespaces directly, AF_XDP too. `user-namespace`: namespaces inside a user namespace; the kernel loads no
   * XDP program from there. `none`: no namespaces.
   */
  readonly kind: 'root' | 'user-namespace' | 'none';
  /** Why it is not `root`; empty if it is. */
  readonly why: string;
  /** True if a user namespace has to be made first (we are not already inside one as its root). */
  readonly makeUserNamespace: boolean;
}

// Bit numbers of include/uapi/linux/capability.h.
const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

let cached: Privileges | undefined;

/** Finds out once, by trying where the answer cannot be read. */
export function privileges(): Privileges {
  cached ??= detect();
  return cached;
}

function detect(): Privileges {
  const capabilities = BigInt(`0x${/^CapEff:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]}`);
  const has = (bit: bigint) => (capabilities & (1n << bit)) !== 0n;
  const capable = has(CAP_NET_ADMIN) && has(CAP_SYS_ADMIN);
  // The initial user namespace maps every id to itself.
  const initial = /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
  const who = process.getuid!() === 0 ? 'root without CAP_NET_ADMIN and CAP_SYS_ADMIN' : 'not root';

  if (capable) {
    const failure = tryUnshare([]);
    if (failure)
      return { kind: 'none', why: `network namespaces are forbidden here: ${failure}`, makeUserNamespace: false };
    if (initial) return { kind: 'root', why: '', makeUserNamespace: false };
    return { kind: 'user-namespace', why: 'root of a user namespace only', makeUserNamespace: false };
  }
  const failure = tryUnshare(['--user', '--map-root-user']);
  if (failure)
    return { kind: 'none', why: `${who}, and user namespaces are forbidden here: ${failure}`, makeUserNamespace: true };
  return { kind: 'user-namespace', why: who, makeUserNamespace: true };
}

/** Undefined if network and mount namespaces can be made, else what the attempt said. */
function tryUnshare(flags: string[]): string | undefined {
  const tried = spawnSync('unshare', [...flags, '--net', '--mount', 'true'], { encoding: 'utf8' });
  if (tried.status === 0) return undefined;
  return tried.error?.message ?? tried.stderr.trim();
}

/**
 * The reason why something that needs namespaces (or `xdp`: AF_XDP too) cannot run here; undefined if it can.
 */
export function obstacle(need: 'namespaces' | 'xdp'): string | undefined {
  const { kind, why } = privileges();
  if (kind === 'root') return undefined;
  if (kind === 'none') return `needs network namespaces: ${why}`;
  return need === 'xdp' ? `needs root, for XDP programs: ${why}` : undefined;
}

/**
 * A test suite that is skipped, with the reason in its name, where privileges do not suffice:
 * `labSuite(describe, 'xdp', 'NAT4 in native mode', () => { ... })`.
 */
export function labSuite(
  describe: { (name: string, body: () => void): unknown; skip(name: string, body: () => void): unknown },
  need: 'namespaces' | 'xdp',
  name: string,
  body: () => void,
): void {
  const reason = obstacle(need);
  if (reason === undefined) describe(name, body);
  else describe.skip(`${name} (${reason})`, body);
}
