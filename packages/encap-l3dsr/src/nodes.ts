import { lookupCounters } from '@lbd/fib';
import type { NodeDeclaration } from '@lbd/graph';
import type { LbHandles } from '@lbd/lb';
import type { Memory } from '@lbd/memory';
import { describe } from '@lbd/packet';
import { kernels } from './kernels.ts';
import * as L from './layout.ts';

/** The node that does so with usual packets, and sends them. */
export function l3dsrExpressNode(lb: LbHandles): NodeDeclaration {
  const { dataBytes, init } = l3dsrNode(lb);
  return {
    name: 'l3dsr-express',
    // in the order of EXPRESS_NEXT_
    next: ['interface-output', 'l3dsr'],
    dataBytes: dataBytes!,
    init: init!,
    process: { module: kernels, export: 'l3dsr_express' },
  };
}

/** The node that gives packets their server's address and their VIP's DSCP. */
export function l3dsrNode(lb: LbHandles): NodeDeclaration {
  return {
    name: 'l3dsr',
    next: ['drop'],
    fanOut: 'dpo',
    counters: lookupCounters,
    dataBytes: L.DATA_BYTES,
    init: (memory: Memory, data: number, worker: number) => {
      memory.u32[(data + L.DATA_LB) >>> 2] = lb.blocks[worker]!;
    },
    process: { module: kernels, export: 'l3dsr' },
    trace: (packet) => `to server ${packet.as}, DSCP ${packet.bytes[1]! >> 2}: ${describe(packet.bytes, 'ip')}`,
  };
}

if (Object.keys(lookupCounters).length !== L.L3DSR_LOOKUP_COUNTERS) {
  throw new Error('L3DSR_LOOKUP_COUNTERS must be the number of lookupCounters');
}
