import { lookupCounters } from '@lbd/fib';
import type { NodeDeclaration } from '@lbd/graph';
import type { LbHandles } from '@lbd/lb';
import type { Memory } from '@lbd/memory';
import { describe } from '@lbd/packet';
import { kernels } from './kernels.ts';
import * as L from './layout.ts';
import type { GreState } from './options.ts';

/** The node that does so with usual packets, and sends them. */
export function greExpressNode(name: 'gre4' | 'gre6', lb: LbHandles, state: GreState): NodeDeclaration {
  const { dataBytes, init } = greNode(name, lb, state);
  return {
    name: `${name}-express`,
    // in the order of EXPRESS_NEXT_
    next: ['interface-output', name],
    dataBytes: dataBytes!,
    init: init!,
    process: { module: kernels, export: `${name}_express` },
  };
}

/** The node that puts outer headers in front of packets. */
export function greNode(name: 'gre4' | 'gre6', lb: LbHandles, { copied }: GreState): NodeDeclaration {
  return {
    name,
    next: ['drop'],
    fanOut: 'dpo',
    counters: {
      ...lookupCounters,
      'no source address': `dropped: no address to send tunnel packets from, set one with lb conf ip${name.at(-1)}-src-address`,
    },
    dataBytes: L.DATA_BYTES,
    init: (memory: Memory, data: number, worker: number) => {
      memory.u32[(data + L.DATA_LB) >>> 2] = lb.blocks[worker]!;
      memory.u32[(data + L.DATA_COPIED) >>> 2] = copied;
    },
    process: { module: kernels, export: name },
    trace: (packet) => `to server ${packet.as}: ${describe(packet.bytes, 'ip')}`,
  };
}

if (Object.keys(lookupCounters).length !== L.GRE_LOOKUP_COUNTERS) {
  throw new Error('GRE_LOOKUP_COUNTERS must be the number of lookupCounters');
}
