import type { Driver } from '@lbd/io';
import { AfXdpControl } from './control.ts';
import { inputNode, outputNode } from './nodes.ts';
import { afXdpOptionsSchema } from './options.ts';
import { puntNode } from './punt.ts';
import { AfXdpWorker, workers } from './worker.ts';

/** The driver for AF_XDP sockets. */
export const afXdp = {
  name: 'af_xdp',
  options: afXdpOptionsSchema,
  nodes: () => [inputNode, outputNode, puntNode],
  control: (memory, pool, allocate) => new AfXdpControl(memory, pool, allocate),
  worker(ports, memory, index) {
    const worker = new AfXdpWorker(ports, memory, index);
    workers.set(memory, index, worker);
    return worker;
  },
} satisfies Driver;

export { BpfAssembler, type Register } from './bpf-assembler.ts';
export { type AfXdpOptions, afXdpOptionsSchema } from './options.ts';
export type { AfXdpDetails, QueueDetails } from './port.ts';
export { XdpSteering } from './steering.ts';
export type { SteeringMaps } from './xdp/maps.ts';
export { XDP_PASS, XDP_REDIRECT, type XdpProgramOptions, xdpProgram } from './xdp-program.ts';
