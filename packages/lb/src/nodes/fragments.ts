import type { NodeDeclaration } from '@lbd/graph';
import { kernels } from '../kernels.ts';
import type { LbHandles } from '../tables.ts';
import { blockData } from './block.ts';
import { ENCAP_FAN_OUT } from './choosers.ts';

/** The nodes of later fragments of packets to VIPs, which have no ports: they follow the first fragment of their datagram. */
export function fragmentNodes(lb: LbHandles): readonly NodeDeclaration[] {
  return [followNode(lb), holdNode(lb), releaseNode(lb)];
}

function followNode(lb: LbHandles): NodeDeclaration {
  return {
    name: 'lb-fragments',
    // in the order of FRAGMENTS_NEXT_
    next: ['drop', 'punt', 'lb-fragments-hold', 'ip4-icmp-error', 'ip6-icmp-error', 'ip4-frag'],
    fanOut: ENCAP_FAN_OUT,
    // in the order of FRAGMENTS_COUNT_
    counters: {
      'no first fragment': 'dropped: the first fragment of the datagram did not come in time',
      'not for a VIP': 'left to the kernel: the first fragment was, or went there directly',
      overlapping: 'dropped: a later fragment over the TCP header that the first one has',
      'ttl expired': 'may not be sent on',
      'too big': 'larger than the way to the server takes, and not to be fragmented',
      'not fragmented': 'dropped: larger than the way to the server takes; fragments are not to be made',
      fragmented: 'larger than the way to the server takes: sent on in fragments',
    },
    ...blockData(lb),
    process: { module: kernels, export: 'lb_fragments' },
    trace: ({ as, hash }) =>
      as === 0 ? 'no server yet' : `server ${as}, hash 0x${hash.toString(16).padStart(8, '0')}`,
  };
}

/** Keeps those that come before the first one. */
function holdNode(lb: LbHandles): NodeDeclaration {
  return {
    name: 'lb-fragments-hold',
    kind: 'output',
    counters: { 'no room': 'dropped: others came after it that wait for their first fragment, too' },
    dataBytes: 4,
    init: (memory, data, worker) => {
      memory.u32[data >>> 2] = lb.held[worker]!;
    },
    process: { module: kernels, export: 'lb_fragments_hold' },
    trace: () => 'waits for the first fragment',
  };
}

/** Gives them back when the first one has come, or time is up. */
function releaseNode(lb: LbHandles): NodeDeclaration {
  return {
    name: 'lb-fragments-release',
    kind: 'input',
    next: ['lb-fragments'],
    dataBytes: 8,
    init: (memory, data, worker) => {
      memory.u32[data >>> 2] = lb.blocks[worker]!;
      memory.u32[(data + 4) >>> 2] = lb.held[worker]!;
    },
    process: { module: kernels, export: 'lb_fragments_release' },
    trace: () => 'has waited',
  };
}
