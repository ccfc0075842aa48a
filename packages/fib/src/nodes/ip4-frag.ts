import type { NodeDeclaration } from '@lbd/graph';
import { describe } from '@lbd/packet';
import { kernels } from '../kernels.ts';
import * as L from '../layout.ts';

/**
 * `ip4-frag` cuts packets to the MTU in META_OPAQUE (bytes); the fragments come in again by `ip4-frag-input`, each in a buffer
 * of its own. The two share a ring in each worker.
 */
export function ip4FragNodes(): readonly NodeDeclaration[] {
  const rings: number[] = [];
  const input: NodeDeclaration = {
    name: 'ip4-frag-input',
    kind: 'input',
    next: ['ip4-lookup'],
    dataBytes: L.FRAGMENTS_BYTES,
    init: (_, address, worker) => {
      rings[worker] = address;
    },
    process: { module: kernels, export: 'ip4FragInput' },
    trace: (packet) => `ip4-frag-input: ${describe(packet.bytes.slice(), 'ip')}`,
  };
  const frag: NodeDeclaration = {
    name: 'ip4-frag',
    kind: 'output',
    counters: {
      datagrams: 'packets sent on in fragments',
      fragments: 'fragments made of them',
      'not allowed': 'says that it must not be fragmented, or can not be made to fit: dropped',
      'no buffer': 'too few free buffers for the fragments: dropped',
      'no room': 'too many fragments wait already: dropped',
    },
    dataBytes: 4,
    init: (memory, address, worker) => {
      const ring = rings[worker];
      if (ring === undefined) throw new Error('ip4-frag-input must come before ip4-frag: inputs do, in every graph');
      memory.u32[address >>> 2] = ring;
    },
    process: { module: kernels, export: 'ip4Frag' },
    trace: (packet) => `ip4-frag: to ${packet.opaque} bytes, ${describe(packet.bytes.slice(), 'ip')}`,
  };
  return [input, frag];
}
