import { getSystemErrorName } from 'node:util';

export type NetlinkErrorCode =
  /** The kernel refused a request; see `errno`. */
  | 'LBD_NETLINK_REFUSED'
  /** A message cannot be taken apart. */
  | 'LBD_NETLINK_MALFORMED'
  /** The socket was closed before the answer came. */
  | 'LBD_NETLINK_CLOSED';

export class NetlinkError extends Error {
  readonly code: NetlinkErrorCode;
  /** The kernel's name of the error, as in `EPERM`. */
  readonly errno: string | undefined;

  constructor(code: NetlinkErrorCode, message: string, errno?: string) {
    super(message);
    this.name = 'NetlinkError';
    this.code = code;
    this.errno = errno;
  }

  /** @param errno positive */
  static ofKernel(what: string, errno: number, why?: string): NetlinkError {
    const name = getSystemErrorName(-errno);
    const hint = name === 'EPERM' ? 'the process needs CAP_NET_ADMIN in its network namespace' : why;
    return new NetlinkError('LBD_NETLINK_REFUSED', `${what}: the kernel says ${name}${hint ? `: ${hint}` : ''}`, name);
  }
}
