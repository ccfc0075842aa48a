import type { NodeDeclaration } from '@lbd/graph';
import { kernels } from '../kernels.ts';

/** Fan-out of the drivers' output nodes; member k serves the interfaces whose INTERFACE_DRIVER is k. */
export const OUTPUT = 'output';

/** Hands packets to the driver of the interface that META_TX names. The current header is the Ethernet one. */
export const interfaceOutputNode: NodeDeclaration = {
  name: 'interface-output',
  next: ['drop'],
  fanOut: OUTPUT,
  counters: {
    'no interface': 'a packet was to leave on an interface that the table has no room for',
    'interface down': 'a packet was to leave on an interface that is down, or not there',
  },
  process: { module: kernels, export: 'interfaceOutput' },
  trace: (packet) => `interface-output: interface ${packet.tx}, ${packet.length} bytes`,
};
