import { addon } from './addon.ts';
import { check, NEEDS_NET_ADMIN } from './system-error.ts';

export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_RCVBUFFORCE = 33;
export const SO_SNDBUFFORCE = 32;

/** setsockopt() of an int. */
export function setOption(fd: number, level: number, option: number, value: number): void {
  check(addon().setOption(fd, level, option, value), 'setsockopt', `option ${option} of level ${level}`, {
    EPERM: NEEDS_NET_ADMIN,
  });
}

/** getsockopt() of an int that is not negative. */
export function getOption(fd: number, level: number, option: number): number {
  return check(addon().getOption(fd, level, option), 'getsockopt', `option ${option} of level ${level}`);
}

/** Receive buffer in bytes, beyond the system's limit where the process may. */
export function setReceiveBuffer(fd: number, bytes: number): void {
  if (addon().setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) < 0) setOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

/** Attaches a classic BPF filter: struct sock_filter, 8 bytes each (u16 code, u8 jt, u8 jf, u32 k; little-endian). */
export function attachFilter(fd: number, instructions: Uint8Array): void {
  check(
    addon().attachFilter(fd, instructions),
    'setsockopt(SO_ATTACH_FILTER)',
    `${instructions.length / 8} instructions`,
    {
      EINVAL: 'not a valid filter program',
    },
  );
}
