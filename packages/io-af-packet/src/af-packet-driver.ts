import type { Driver, DriverWorker, PortInfo } from '@lbd/io';
import type { Memory } from '@lbd/memory';
import { AfPacketControl } from './control.ts';
import { inputNode, outputNode, puntNode } from './nodes.ts';
import { afPacketOptionsSchema } from './options.ts';
import { setState, WorkerState } from './worker-state.ts';

/** The driver for AF_PACKET sockets. Needs CAP_NET_RAW in the network namespace. */
export const afPacket = {
  name: 'af_packet',
  options: afPacketOptionsSchema,
  nodes: (ports: readonly PortInfo[]) => [inputNode(ports), outputNode(), puntNode()],
  control: () => new AfPacketControl(),
  worker(ports: readonly PortInfo[], memory: Memory, worker: number): DriverWorker & { close(): void } {
    const state = new WorkerState(ports, worker);
    setState(memory, worker, state);
    return {
      fds: state.fds,
      flush: () => {},
      pending: () => state.receiver.pending,
      close: () => state.close(),
    };
  },
} satisfies Driver;
