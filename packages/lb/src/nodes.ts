import type { NodeDeclaration } from '@lbd/graph';
import type { Memory } from '@lbd/memory';
import { kernels } from './kernels.ts';
import type { LbHandles } from './tables.ts';

/** Name of the fan-out whose members are the rewriting nodes of the encaps. */
export const ENCAP_FAN_OUT = 'encap';

/** The choosing nodes. They are members of the fan-out `dpo`: the DPOs of VIPs. */
export function lbNodes(lb: LbHandles): readonly NodeDeclaration[] {
  return [
    chooser('lb4', 'lb4', lb),
    chooser('lb4-port', 'lb4_port', lb),
    chooser('lb6', 'lb6', lb),
    chooser('lb6-port', 'lb6_port', lb),
  ];
}

function chooser(name: string, kernel: string, lb: LbHandles): NodeDeclaration {
  return {
    name,
    next: ['drop', 'punt'],
    fanOut: ENCAP_FAN_OUT,
    counters: {
      'no server configured': 'dropped: the VIP has no server that takes new flows',
      'no VIP for the port': 'left to the kernel: no VIP has the protocol and port',
      'later fragment': 'left to the kernel: a fragment without ports, for a prefix with per-port VIPs',
    },
    dataBytes: 4,
    init: (memory: Memory, data: number, worker: number) => {
      memory.u32[data >>> 2] = lb.blocks[worker]!;
    },
    process: { module: kernels, export: kernel },
    trace: (packet) =>
      packet.as === 0 ? 'no server' : `server ${packet.as}, flow hash 0x${packet.hash.toString(16).padStart(8, '0')}`,
  };
}
