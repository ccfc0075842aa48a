import { FRAME_BYTES, FRAME_HEADROOM, type NodeContext } from '@lbd/graph';
import { DriverError, type PortInfo, WorkerStates } from '@lbd/io';
import type { Memory } from '@lbd/memory';
import { PacketSocket } from '@lbd/native';
import type { AfPacketDetails } from './control.ts';
import { NOTHING } from './filter.ts';
import { Receiver } from './receiver.ts';
import { Sender } from './sender.ts';

/** Longest packet that a frame has room for. */
export const MAX_FRAME = FRAME_BYTES - FRAME_HEADROOM;

/** What the nodes of the driver work with in one worker. */
export class WorkerState {
  readonly receiver: Receiver;
  readonly fds: readonly number[];
  /** By interface index. */
  readonly senders = new Map<number, Sender>();
  readonly sockets: readonly { readonly index: number; readonly socket: PacketSocket }[];
  /** How often the input node was polled. */
  polls = 0;
  readonly #own: PacketSocket[] = [];

  constructor(ports: readonly PortInfo[], worker: number) {
    const receiving = [];
    for (const { index, name, ifindex, queues, details } of ports) {
      const { fds } = details as AfPacketDetails;
      const mine = worker < queues;
      if (mine && fds[worker] === undefined) {
        throw new DriverError('LBD_DRIVER_OPEN', `af_packet port ${name}: no socket for queue ${worker}`);
      }
      // A worker without a queue of the port sends on it all the same.
      const options = { name, ifindex, offloads: true };
      const socket = new PacketSocket(mine ? { ...options, fd: fds[worker]! } : { ...options, filter: NOTHING });
      if (mine) receiving.push({ index, socket });
      else this.#own.push(socket);
      this.senders.set(index, new Sender(socket));
    }
    this.sockets = receiving;
    this.fds = receiving.map(({ socket }) => socket.fd);
    this.receiver = new Receiver(receiving, MAX_FRAME);
  }

  close(): void {
    for (const socket of this.#own) socket.close();
  }
}

const states = new WorkerStates<WorkerState>();

/** Makes a state known to the nodes that run with this memory and worker index in this thread. */
export function setState(memory: Memory, worker: number, state: WorkerState): void {
  states.set(memory, worker, state);
}

/** The state of the worker that a node runs in. */
export function stateOf(context: NodeContext): WorkerState {
  const state = states.of(context);
  if (!state) throw new Error('the af_packet driver has no worker here: call its worker() before its nodes run');
  return state;
}
