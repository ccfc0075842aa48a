import { FRAME_BYTES } from '@lbd/graph';
import type { BufferPool } from '@lbd/io';
import type { Memory } from '@lbd/memory';
import {
  close,
  SO_SNDBUFFORCE,
  SOL_SOCKET,
  setOption,
  XDP_COPY,
  XDP_SHARED_UMEM,
  XDP_USE_NEED_WAKEUP,
  XDP_ZEROCOPY,
  xdpBind,
  xdpIsZeroCopy,
  xdpRegisterUmem,
  xdpSetTxBudget,
  xdpSocket,
} from '@lbd/native';
import type { QueueRoom } from './rings.ts';

/** A queue to bind a socket to. */
export interface QueueAddress {
  readonly name: string;
  readonly ifindex: number;
  readonly interfaceIndex: number;
  readonly queue: number;
}

export interface BoundSocket {
  readonly fd: number;
  readonly zeroCopy: boolean;
}

/** Bytes that may be on their way through the kernel in copy mode. */
const SEND_BUFFER = 16 << 20;
/** Packets sent by one wake-up in copy mode: a vector. */
const TX_BUDGET = 256;

/**
 * The packet buffers of all workers, as the UMEM of all sockets. The kernel wants the sockets that share a UMEM all
 * with or all without zero-copy; so there are up to two UMEMs, over the same frames.
 */
export class Umem {
  readonly #frames: Uint8Array;
  /** Bound sockets: with zero-copy, and without. */
  readonly #sockets = { zeroCopy: new Set<number>(), copy: new Set<number>() };

  constructor(memory: Memory, pool: BufferPool) {
    this.#frames = memory.u8.subarray(pool.frames, pool.frames + pool.count * FRAME_BYTES);
  }

  /**
   * Opens a socket with its rings in `room` and binds it.
   * @throws SystemError, and then nothing is left open
   */
  async bind(address: QueueAddress, room: QueueRoom, zeroCopy: 'auto' | 'off' | 'on'): Promise<BoundSocket> {
    if (zeroCopy === 'off') return this.#open(address, room, XDP_COPY);
    if (zeroCopy === 'on') return this.#open(address, room, XDP_ZEROCOPY);
    try {
      return await this.#open(address, room, XDP_ZEROCOPY);
    } catch {
      return this.#open(address, room, XDP_COPY);
    }
  }

  close(socket: BoundSocket, room: QueueRoom): void {
    this.#group(socket.zeroCopy).delete(socket.fd);
    room.unmap();
    close(socket.fd);
  }

  #group(zeroCopy: boolean): Set<number> {
    return zeroCopy ? this.#sockets.zeroCopy : this.#sockets.copy;
  }

  async #open(
    { name, ifindex, interfaceIndex, queue }: QueueAddress,
    room: QueueRoom,
    flag: number,
  ): Promise<BoundSocket> {
    const group = this.#group(flag === XDP_ZEROCOPY);
    const fd = xdpSocket();
    try {
      const [first] = group;
      if (first === undefined) xdpRegisterUmem(fd, this.#frames, FRAME_BYTES);
      room.map(fd, interfaceIndex);
      xdpSetTxBudget(fd, Math.min(TX_BUDGET, room.sizes.tx));
      raiseSendBuffer(fd);
      // A socket that shares a UMEM takes over its flags.
      if (first === undefined) await xdpBind(fd, name, ifindex, queue, flag | XDP_USE_NEED_WAKEUP);
      else await xdpBind(fd, name, ifindex, queue, XDP_SHARED_UMEM, first);
    } catch (error) {
      room.unmap();
      close(fd);
      throw error;
    }
    group.add(fd);
    return { fd, zeroCopy: xdpIsZeroCopy(fd) };
  }
}

function raiseSendBuffer(fd: number): void {
  try {
    setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
  } catch {
    // without CAP_NET_ADMIN in the initial namespace: the system's default
  }
}
