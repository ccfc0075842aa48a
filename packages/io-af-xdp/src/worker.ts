import { type DriverWorker, type PortInfo, WorkerStates } from '@lbd/io';
import type { Memory } from '@lbd/memory';
import { kickRx, kickTx, XDP_RING_NEED_WAKEUP, xdpStatistics } from '@lbd/native';
import * as L from './layout.ts';
import type { AfXdpDetails, QueueDetails } from './port.ts';

/** System calls in one flush of a queue: where one sends only 32 packets, a full ring of 2048 takes 64. */
const TX_TRIES = 64;
/** Answers to a wake-up that mean that packets are left: EAGAIN, EBUSY, ENOBUFS. */
const LATER = [-11, -16, -105];
/** Breaths under load between two looks at what the kernel dropped. */
const LOOK_EVERY = 16384;

/** A worker's side of the driver: wakes the kernel up where it wants to be woken. */
export class AfXdpWorker implements DriverWorker {
  readonly fds: readonly number[];
  /** The ports, by interface index, for the punt node. */
  readonly ports: ReadonlyMap<number, PortInfo & { readonly details: AfXdpDetails }>;
  readonly #queues: readonly QueueDetails[];
  readonly #memory: Memory;
  /** What the kernel had dropped on each queue when last asked. */
  readonly #lost: number[];
  #breaths = 0;

  constructor(ports: readonly PortInfo[], memory: Memory, worker: number) {
    const own = ports.filter((port) => port.driver === 'af_xdp') as Array<PortInfo & { details: AfXdpDetails }>;
    this.ports = new Map(own.map((port) => [port.index, port]));
    this.#queues = own.flatMap((port) => port.details.queues.filter((queue) => queue.worker === worker));
    this.#memory = memory;
    this.fds = this.#queues.map(({ fd }) => fd);
    this.#lost = this.fds.map(() => 0);
  }

  /** Tells the kernel of packets that wait on TX rings, and drivers that ask for it of buffers on fill rings. */
  flush(): void {
    const { u32, i32 } = this.#memory;
    if (++this.#breaths >= LOOK_EVERY) this.#countLost();
    for (const { block, fd } of this.#queues) {
      if (u32[(block + L.TX_UNTOLD) >>> 2] !== 0 && this.#told(block, fd)) u32[(block + L.TX_UNTOLD) >>> 2] = 0;
      const flags = Atomics.load(i32, u32[(block + L.FILL_FLAGS) >>> 2]! >>> 2);
      if ((flags & XDP_RING_NEED_WAKEUP) !== 0) kickRx(fd);
    }
  }

  /** True if a packet has come in that is not yet taken, or one waits to be sent. */
  pending(): boolean {
    const { u32, i32 } = this.#memory;
    for (const { block } of this.#queues) {
      if (u32[(block + L.TX_UNTOLD) >>> 2] !== 0) return true;
      const produced = Atomics.load(i32, u32[(block + L.RX_PRODUCER) >>> 2]! >>> 2) >>> 0;
      if (produced !== u32[(block + L.RX_TAKEN) >>> 2]) return true;
    }
    return this.#countLost();
  }

  /** Tells the input node of packets that the kernel dropped. @returns true if there were any */
  #countLost(): boolean {
    this.#breaths = 0;
    let any = false;
    this.#queues.forEach(({ block, fd }, i) => {
      const { rxDropped, rxRingFull } = xdpStatistics(fd);
      const lost = Number(rxDropped + rxRingFull);
      if (lost === this.#lost[i]) return;
      this.#memory.u32[(block + L.RX_LOST) >>> 2]! += lost - this.#lost[i]!;
      this.#lost[i] = lost;
      any = true;
    });
    return any;
  }

  #told(block: number, fd: number): boolean {
    const { u32, i32 } = this.#memory;
    const flags = Atomics.load(i32, u32[(block + L.TX_FLAGS) >>> 2]! >>> 2);
    // Without the flag the driver is looking at the ring as it is.
    return (flags & XDP_RING_NEED_WAKEUP) === 0 || !LATER.includes(kickTx(fd, TX_TRIES));
  }
}

/** The workers of this thread, for the punt node. */
export const workers = new WorkerStates<AfXdpWorker>();
