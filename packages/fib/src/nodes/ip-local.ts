import type { NodeDeclaration } from '@lbd/graph';
import { kernels } from '../kernels.ts';

/** Packets, of either family, for an address of the host: the kernel's, unless a feature of the arc `ip-local` takes them. */
export const ipLocal: NodeDeclaration = {
  name: 'ip-local',
  counters: { punted: 'for an address of this host: punted to the kernel' },
  process: { module: kernels, export: 'ipLocal' },
  trace: () => 'ip-local: for this host',
};
