import type { Driver, DriverWorker, PortInfo } from '@lbd/io';
import type { Memory } from '@lbd/memory';
import { PcapControl } from './control.ts';
import { inputNode } from './input.ts';
import { pcapOptionsSchema } from './options.ts';
import { outputNode, puntNode } from './output.ts';
import { setState, WorkerState } from './worker-state.ts';

/** A worker's side of the driver: it knows when all input files are at their end. */
export interface PcapWorker extends DriverWorker {
  finished(): boolean;
  close(): void;
}

/** The driver for capture files. Needs no privileges. */
export const pcap = {
  name: 'pcap',
  options: pcapOptionsSchema,
  nodes: (ports: readonly PortInfo[]) => [inputNode(ports), outputNode(), puntNode()],
  control: () => new PcapControl(),
  worker(ports: readonly PortInfo[], memory: Memory, worker: number): PcapWorker {
    const state = new WorkerState(ports, worker);
    setState(memory, worker, state);
    return {
      fds: [],
      flush: () => state.flush(),
      pending: () => !state.finished,
      finished: () => state.finished,
      close: () => state.close(),
    };
  },
} satisfies Driver;
