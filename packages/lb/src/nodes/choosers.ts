import type { NodeDeclaration } from '@lbd/graph';
import { kernels } from '../kernels.ts';
import type { LbHandles } from '../tables.ts';
import { blockData } from './block.ts';

/** Name of the fan-out whose members are the rewriting nodes of the encaps. */
export const ENCAP_FAN_OUT = 'encap';

/** In the order of LB_COUNT_. */
const counters = {
  'no server configured': 'dropped: the VIP has no server that takes new flows',
  'no VIP for the port': 'left to the kernel: no VIP of the prefix has the protocol and port',
  'ttl expired': 'may not be sent on: answered with ICMP time exceeded',
  'too big': 'larger than the way to the server takes, and not to be fragmented: answered with ICMP',
  'not fragmented': 'dropped: larger than the way to the server takes; fragments are not to be made',
  'icmp error about no flow': 'left to the kernel: an ICMP error about a packet that no VIP of the prefix sent',
  'icmp errors': 'ICMP errors passed on to the server of the flow that they are about',
  fragmented: 'larger than the way to the server takes: sent on in fragments',
  'tiny fragment': 'dropped: a first fragment without the whole L4 header',
} as const;

/** The nodes that choose a server: for VIPs of all ports and of one port, of either family. They are the DPOs of VIPs. */
export function chooserNodes(lb: LbHandles): readonly NodeDeclaration[] {
  return [
    chooser('lb4', 'lb4', 4, lb),
    chooser('lb4-port', 'lb4_port', 4, lb),
    chooser('lb6', 'lb6', 6, lb),
    chooser('lb6-port', 'lb6_port', 6, lb),
  ];
}

function chooser(name: string, kernel: string, family: 4 | 6, lb: LbHandles): NodeDeclaration {
  const icmp = [`ip${family}-icmp-error`, `ip${family}-icmp-echo-request`];
  return {
    name,
    // in the order of LB_NEXT_
    next: ['drop', 'punt', ...icmp, 'lb-fragments', family === 4 ? 'ip4-frag' : 'drop'],
    fanOut: ENCAP_FAN_OUT,
    counters,
    ...blockData(lb),
    process: { module: kernels, export: kernel },
    trace: (packet) =>
      packet.as === 0 ? 'no server' : `server ${packet.as}, hash 0x${packet.hash.toString(16).padStart(8, '0')}`,
  };
}
