import { getSystemErrorMap, getSystemErrorName } from 'node:util';

/** A system call failed. */
export class SystemError extends Error {
  /** The kernel's name of the error: `EPERM`, `ENODEV`, ... */
  readonly code: string;
  readonly errno: number;
  /** Which call failed, as in `bpf(BPF_PROG_LOAD)`. */
  readonly syscall: string;

  constructor(syscall: string, what: string, errno: number, hint?: string) {
    const { code, meaning } = describe(errno);
    super(`${syscall} of ${what}: ${code}${meaning ? ` (${meaning})` : ''}${hint ? `: ${hint}` : ''}`);
    this.name = 'SystemError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** What to do about an error, by its code. */
export type Hints = Readonly<Record<string, string>>;

/**
 * Passes on what a function of the addon returned, if it is not minus errno.
 * @throws SystemError
 */
export function check(returned: number, syscall: string, what: string, hints: Hints = {}): number {
  if (returned >= 0) return returned;
  throw new SystemError(syscall, what, -returned, hints[describe(-returned).code]);
}

/** ENOTSUPP is the kernel's own; user space has no name for it. */
const ENOTSUPP = 524;

function describe(errno: number): { code: string; meaning: string } {
  if (errno === ENOTSUPP) return { code: 'ENOTSUPP', meaning: 'the kernel or the driver does not support it' };
  const known = getSystemErrorMap().get(-errno);
  return known ? { code: known[0], meaning: known[1] } : { code: getSystemErrorName(-errno), meaning: '' };
}

export const NEEDS_NET_RAW = 'it needs root or the capability CAP_NET_RAW in this network namespace';
export const NEEDS_NET_ADMIN = 'it needs root or the capability CAP_NET_ADMIN in this network namespace';
export const NEEDS_BPF =
  'it needs root, or the capabilities CAP_BPF and CAP_NET_ADMIN in the initial user namespace (containers and ' +
  'unprivileged user namespaces have neither: use the af_packet driver there)';
/** The verifier allows programs of others less arithmetic with pointers. */
export const NEEDS_PERFMON =
  'it needs root or the capability CAP_PERFMON, beside CAP_BPF, in the initial user namespace';
