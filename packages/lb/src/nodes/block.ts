import type { NodeDeclaration } from '@lbd/graph';
import type { LbHandles } from '../tables.ts';

/** Data of a node whose one word is the address of the worker's load balancer block (LB_ words). */
export function blockData(lb: LbHandles): Pick<NodeDeclaration, 'dataBytes' | 'init'> {
  return {
    dataBytes: 4,
    init: (memory, data, worker) => {
      memory.u32[data >>> 2] = lb.blocks[worker]!;
    },
  };
}
