import type { NodeDeclaration } from '@lbd/graph';
import { kernels } from '../kernels.ts';

/** Fan-out of the drivers' punt nodes, in the same order as {@link OUTPUT}. */
export const PUNT = 'punt';

/**
 * Hands packets that are not for the graph back to where they came from: the driver of the interface that META_RX
 * names. Counts each by its META_REASON. Any header may be the current one; the drivers' punt nodes go back to the
 * Ethernet header.
 */
export const puntNode: NodeDeclaration = {
  name: 'punt',
  fanOut: PUNT,
  process: { module: kernels, export: 'punt' },
  trace: (packet) => `punt: to the kernel of interface ${packet.rx}`,
};
