import { lookupCounters } from '@lbd/fib';
import type { NodeDeclaration } from '@lbd/graph';
import type { LbHandles } from '@lbd/lb';
import { describe } from '@lbd/packet';
import * as L from './layout.ts';
import type { IpipOptions } from './options.ts';

const kernels = new URL('../dist/kernels.wasm', import.meta.url);

/** The node that puts outer headers in front of packets; its kernel has its name. */
export function ipipNode(name: 'ipip4' | 'ipip6', lb: LbHandles, { ttl }: IpipOptions): NodeDeclaration {
  return {
    name,
    next: ['drop'],
    fanOut: 'dpo',
    counters: {
      ...lookupCounters,
      'no source address': `dropped: no address to send tunnel packets from, set one with lb conf ip${name.at(-1)}-src-address`,
    },
    dataBytes: L.DATA_BYTES,
    init: (memory, data, worker) => {
      memory.u32[(data + L.DATA_LB) >>> 2] = lb.blocks[worker]!;
      memory.u32[(data + L.DATA_TTL) >>> 2] = ttl;
    },
    process: { module: kernels, export: name },
    trace: (packet) => `to server ${packet.as}: ${describe(packet.bytes, 'ip')}`,
  };
}

if (Object.keys(lookupCounters).length !== L.LOOKUP_COUNTERS) {
  throw new Error('LOOKUP_COUNTERS must be the number of lookupCounters');
}
