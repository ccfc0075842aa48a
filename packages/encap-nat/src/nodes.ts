import { lookupCounters } from '@lbd/fib';
import { type NodeDeclaration, VECTOR_SIZE } from '@lbd/graph';
import type { LbHandles } from '@lbd/lb';
import type { Memory } from '@lbd/memory';
import { describe } from '@lbd/packet';
import { REPLY_BYTES, REPLY_PACKETS } from './express-layout.ts';
import { kernels } from './kernels.ts';
import * as L from './layout.ts';
import type { NatHandles } from './tables.ts';

/** Name of the node that takes the usual packets of clients. */
export const expressName = (family: 4 | 6): string => `nat${family}-express`;
/** Name of the feature that rewrites the packets of servers. */
export const in2outName = (family: 4 | 6): string => `lb-nat${family}-in2out`;
/** Name of the node that takes the usual packets of servers. */
export const in2outExpressName = (family: 4 | 6): string => `${in2outName(family)}-express`;

/** One family's node that rewrites the packets of clients, the feature that rewrites those of servers, and their shortcuts. */
export function natNodes(lb: LbHandles, nat: NatHandles): readonly NodeDeclaration[] {
  const { family } = nat;
  const icmp = family === 4 ? 'ICMP' : 'ICMPv6';
  const init = (memory: Memory, data: number, worker: number) => {
    memory.u32[(nat.block + L.NAT_SERVERS) >>> 2] = lb.servers;
    memory.u32[(data + L.DATA_NAT) >>> 2] = nat.block;
    memory.u32[(data + L.DATA_LB) >>> 2] = lb.blocks[worker]!;
  };
  return [
    {
      name: `nat${family}`,
      next: ['drop'],
      fanOut: 'dpo',
      counters: {
        ...lookupCounters,
        'sessions created': 'a flow began',
        'other server taken': "the chosen server had the client's address and port in use through another VIP",
        'session table full': 'dropped: no room for one session more',
        'port in use': "dropped: every server tried has the client's address and port in use through another VIP",
        truncated: 'dropped: the packet ends within its TCP or UDP header',
        'no ports': `dropped: neither TCP nor UDP, nor an ${icmp} error about such`,
        'errors translated': `${icmp} errors about servers' packets, passed to these`,
        'no server configured': 'dropped: of no session, and the VIP has no server that takes new flows',
      },
      dataBytes: L.DATA_BYTES,
      init,
      process: { module: kernels, export: `nat${family}` },
      trace: (packet) => `to server ${packet.as}: ${describe(packet.bytes, 'ip')}`,
    },
    {
      name: expressName(family),
      // in the order of EXPRESS_NEXT_
      next: ['interface-output', `nat${family}`],
      dataBytes: L.DATA_BYTES,
      init,
      process: { module: kernels, export: `nat${family}_express` },
    },
    {
      name: in2outName(family),
      next: ['punt', 'drop'],
      counters: {
        translated: 'the session gave the address and port that the client used',
        'static mapping': "no session, but the server's port belongs to one VIP: translated",
        'errors translated': `${icmp} errors about clients' packets, passed to these`,
        expiring: 'left as it is: would expire here, and what is answered has to quote it so',
        'no session': 'left to the kernel: of no session and no VIP',
        'unknown fragment': 'left to the kernel: a later fragment whose first fragment was not seen before it',
      },
      dataBytes: L.DATA_BYTES,
      init,
      process: { module: kernels, export: `nat${family}_in2out` },
      trace: (packet) => `from server: ${describe(packet.bytes, 'ip')}`,
    },
    {
      name: in2outExpressName(family),
      // in the order of REPLY_NEXT_
      next: ['ethernet-input', 'interface-output'],
      watches: `ip${family}-unicast`,
      // in the order of STANDS_FOR_
      standsFor: [in2outName(family), family === 4 ? 'l4-checksum' : 'l4-checksum6'],
      dataBytes: REPLY_BYTES,
      init,
      process: { module: kernels, export: `nat${family}_in2out_express` },
    },
  ];
}

if (REPLY_PACKETS !== VECTOR_SIZE) throw new Error('REPLY_PACKETS must be VECTOR_SIZE');
if (Object.keys(lookupCounters).length !== L.NAT_LOOKUP_COUNTERS) {
  throw new Error('NAT_LOOKUP_COUNTERS must be the number of lookupCounters');
}
