import type { Feature, NodeDeclaration } from '@lbd/graph';
import { kernels } from '../kernels.ts';
import type { LbHandles } from '../tables.ts';
import { blockData } from './block.ts';

/** Feature of `ip-local`: takes what belongs to service type nodeport from the packets for addresses of the host. */
export function nodePortNode(lb: LbHandles): NodeDeclaration {
  return {
    name: 'lb-nodeport',
    // in the order of NODE_PORT_NEXT_
    next: ['lb4-port', 'lb6-port'],
    counters: { taken: 'packets to node ports, and what belongs to them' },
    ...blockData(lb),
    process: { module: kernels, export: 'lb_nodeport' },
    trace: () => 'lb-nodeport',
  };
}

export const nodePortFeature: Feature = { arc: 'ip-local', node: 'lb-nodeport' };
