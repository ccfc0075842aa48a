import type { NodeDeclaration } from '@lbd/graph';
import { describe } from '@lbd/packet';
import { dpoIndex } from '../dpo.ts';
import { kernels } from '../kernels.ts';
import * as L from '../layout.ts';

const counters = {
  'ttl expired': 'TTL or hop limit would become 0: answered with ICMP time exceeded',
  'interface down': 'the next hop’s interface is down: dropped',
  'too big':
    'larger than the MTU of the way to the next hop, and not to be fragmented: answered with ICMP, which names the MTU',
};

function rewriteNode(family: 4 | 6, adjacencies: number, ...more: string[]): NodeDeclaration {
  const name = `ip${family}-rewrite`;
  return {
    name,
    next: ['interface-output', 'drop', `ip${family}-glean`, `ip${family}-icmp-error`, ...more],
    counters,
    dataBytes: 4,
    init: (memory, address) => {
      memory.u32[address >>> 2] = adjacencies;
    },
    process: { module: kernels, export: `ip${family}Rewrite` },
    trace(packet, memory) {
      const bytes = packet.bytes.slice();
      const adjacency = adjacencies + dpoIndex(packet.dpo) * (1 << L.ADJACENCY_SHIFT);
      const header = memory.u8.subarray(adjacency + L.ADJACENCY_DESTINATION, adjacency + L.ADJACENCY_TYPE + 2);
      // what is not sent keeps the IP header as current header
      if (!header.every((byte, i) => byte === bytes[i])) return `${name}: not sent, ${describe(bytes, 'ip')}`;
      return `${name}: interface ${packet.tx}, ${describe(bytes)}`;
    },
  };
}

/** Sends IPv4 packets to an adjacency, in fragments where need be. @param adjacencies address of adjacency 0 */
export const ip4Rewrite = (adjacencies: number): NodeDeclaration => rewriteNode(4, adjacencies, 'ip4-frag');

/** Sends IPv6 packets to an adjacency. @param adjacencies address of adjacency 0 */
export const ip6Rewrite = (adjacencies: number): NodeDeclaration => rewriteNode(6, adjacencies);
