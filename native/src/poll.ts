import { addon } from './addon.ts';
import { check } from './system-error.ts';

/**
 * Blocks the thread until one of the file descriptors can be read, or the time is over. For worker threads: it would
 * stop the event loop of the main thread.
 * @param timeout milliseconds; 0 only looks, -1 waits for ever
 * @returns how many can be read; 0 also when a signal came
 */
export function poll(fds: Int32Array, timeout: number): number {
  return check(addon().poll(fds, timeout), 'poll', `${fds.length} file descriptors`);
}

/**
 * Makes the kernel send what is on the TX ring.
 * @param tries system calls at most; each sends a limited number of packets in copy mode
 * @returns 0, or minus errno: -EAGAIN (-11), -EBUSY (-16) and -ENOBUFS (-105) mean that packets are left on the ring
 */
export function kickTx(fd: number, tries = 1): number {
  return addon().kickTx(fd, tries);
}

/** Makes the driver look at the fill ring. @returns 0 or minus errno */
export function kickRx(fd: number): number {
  return addon().kickRx(fd);
}

/** An eventfd: to wake a thread that sleeps in {@link poll}. Its `fd` may be given to other threads. */
export class EventFd {
  readonly fd: number;

  constructor(fd: number = check(addon().eventCreate(), 'eventfd', 'a wake-up')) {
    this.fd = fd;
  }
  /** Wakes who polls it. */
  signal(): void {
    check(addon().eventSignal(this.fd), 'write', 'an eventfd');
  }
  /** Takes the signal away. @returns true if there was one */
  drain(): boolean {
    return check(addon().eventDrain(this.fd), 'read', 'an eventfd') === 1;
  }
  close(): void {
    close(this.fd);
  }
}

/** Closes a file descriptor. */
export function close(fd: number): void {
  check(addon().close(fd), 'close', `file descriptor ${fd}`);
}

/**
 * Asks for huge pages under the whole pages of `area`. Advice only: where they are off, nothing happens.
 * @returns false if the kernel has none
 */
export function adviseHugePages(area: Uint8Array): boolean {
  return addon().adviseHugePages(area) >= 0;
}

/** Calls back on this thread's event loop whenever a file descriptor can be read. */
export class Watch {
  #handle: unknown;

  /** @param keepAlive whether it keeps the process from ending */
  constructor(fd: number, ready: () => void, keepAlive = true) {
    const handle = addon().watchStart(fd, ready);
    if (typeof handle === 'number') check(handle, 'epoll', `file descriptor ${fd}`);
    this.#handle = handle;
    if (!keepAlive) addon().watchHold(handle, false);
  }

  /** Close the file descriptor only after this. */
  stop(): void {
    if (this.#handle === undefined) return;
    addon().watchStop(this.#handle);
    this.#handle = undefined;
  }
}
