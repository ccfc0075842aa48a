import type { NodeDeclaration } from '@lbd/graph';
import type { LbHandles } from '../tables.ts';
import { blockData } from './block.ts';
import { ENCAP_FAN_OUT } from './choosers.ts';

/** Later fragments of packets to VIPs. */
export function fragmentsNode(lb: LbHandles): NodeDeclaration {
  return {
    name: 'lb-fragments',
    next: ['drop', 'punt'],
    fanOut: ENCAP_FAN_OUT,
    counters: { 'later fragment': 'left to the kernel: a fragment without ports' },
    ...blockData(lb),
    process(context, vector, count) {
      for (let i = 0; i < count; i++) context.reason(context.packet(vector[i]!), 'later fragment');
      return context.slot('punt');
    },
  };
}
