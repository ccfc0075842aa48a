import type { NodeDeclaration } from '@lbd/graph';
import { kernels } from '../kernels.ts';

/** Packets, of either family, for an address of the host: the kernel's. */
export const ipLocal: NodeDeclaration = {
  name: 'ip-local',
  next: ['punt'],
  counters: { punted: 'for an address of this host: punted to the kernel' },
  process: { module: kernels, export: 'ipLocal' },
  trace: () => 'ip-local: for this host',
};
