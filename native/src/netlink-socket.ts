import { addon } from './addon.ts';
import { close, Watch } from './poll.ts';
import { setReceiveBuffer } from './socket-options.ts';
import { check, NEEDS_NET_ADMIN } from './system-error.ts';

const EAGAIN = 11;
const ENOBUFS = 105;

export interface NetlinkOptions {
  /** 0 is NETLINK_ROUTE. */
  readonly protocol?: number;
  /** Multicast groups to join, by number (RTNLGRP_), not as bits. */
  readonly groups?: readonly number[];
  /** Receive buffer in bytes. */
  readonly receiveBuffer?: number;
}

/** A netlink socket: datagrams of messages, not looked into. Never blocks. */
export class NetlinkSocket {
  readonly fd: number;
  #watch: Watch | undefined;

  constructor({ protocol = 0, groups = [], receiveBuffer }: NetlinkOptions = {}) {
    const returned = addon().netlinkOpen(protocol, new Uint32Array(groups));
    this.fd = check(returned, 'socket(AF_NETLINK)', `netlink protocol ${protocol}`, { EPERM: NEEDS_NET_ADMIN });
    if (receiveBuffer !== undefined) setReceiveBuffer(this.fd, receiveBuffer);
  }

  /** Sends one datagram to the kernel. */
  send(message: Uint8Array): void {
    check(addon().netlinkSend(this.fd, message), 'sendto', 'a netlink message', { EPERM: NEEDS_NET_ADMIN });
  }

  /**
   * Receives one datagram of the kernel's into `room`.
   * @returns its size in bytes (more than `room.length` if its end was cut off), undefined if there is none now, and
   *   `'overrun'` if the kernel had to throw messages away (ENOBUFS): what was followed must be read anew
   */
  receive(room: Uint8Array): number | undefined | 'overrun' {
    const returned = addon().netlinkReceive(this.fd, room);
    if (returned === -EAGAIN) return undefined;
    if (returned === -ENOBUFS) return 'overrun';
    return check(returned, 'recvfrom', 'a netlink message');
  }

  /** Calls back on this thread's event loop when there is something to receive. */
  watch(ready: () => void, keepAlive = true): void {
    this.#watch?.stop();
    this.#watch = new Watch(this.fd, ready, keepAlive);
  }

  close(): void {
    this.#watch?.stop();
    close(this.fd);
  }
}
