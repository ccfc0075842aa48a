import { lookupCounters } from '@lbd/fib';
import type { NodeDeclaration } from '@lbd/graph';
import type { LbHandles } from '@lbd/lb';
import type { Memory } from '@lbd/memory';
import { describe } from '@lbd/packet';
import { kernels } from './kernels.ts';
import * as L from './layout.ts';
import type { NatHandles } from './tables.ts';

/** The node that rewrites the packets of clients, and the feature that rewrites those of servers. */
export function nat4Nodes(lb: LbHandles, nat: NatHandles): readonly NodeDeclaration[] {
  const init = (memory: Memory, data: number, worker: number) => {
    memory.u32[(data + L.DATA_NAT) >>> 2] = nat.block;
    memory.u32[(data + L.DATA_LB) >>> 2] = lb.blocks[worker]!;
  };
  return [
    {
      name: 'nat4',
      next: ['drop'],
      fanOut: 'dpo',
      counters: {
        ...lookupCounters,
        'sessions created': 'a flow began',
        'other server taken': "the chosen server had the client's address and port in use through another VIP",
        'session table full': 'dropped: no room for one session more',
        'port in use': "dropped: every server tried has the client's address and port in use through another VIP",
        truncated: 'dropped: the packet ends within its TCP or UDP header',
        'no ports': 'dropped: neither TCP nor UDP, or a later fragment',
      },
      dataBytes: L.DATA_BYTES,
      init,
      process: { module: kernels, export: 'nat4' },
      trace: (packet) => `to server ${packet.as}: ${describe(packet.bytes, 'ip')}`,
    },
    {
      name: 'lb-nat4-in2out',
      next: ['punt', 'drop'],
      counters: {
        translated: 'the session gave the address and port that the client used',
        'static mapping': "no session, but the server's port belongs to one VIP: translated",
        'no session': 'left to the kernel: of no session and no VIP',
        truncated: 'left to the kernel: the packet ends within its TCP or UDP header',
      },
      dataBytes: L.DATA_BYTES,
      init,
      process: { module: kernels, export: 'nat4_in2out' },
      trace: (packet) => `from server: ${describe(packet.bytes, 'ip')}`,
    },
  ];
}

if (Object.keys(lookupCounters).length !== L.NAT4_LOOKUP_COUNTERS) {
  throw new Error('NAT4_LOOKUP_COUNTERS must be the number of lookupCounters');
}
