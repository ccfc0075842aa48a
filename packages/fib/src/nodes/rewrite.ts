import type { NodeDeclaration } from '@lbd/graph';
import { describe } from '@lbd/packet';
import { kernels } from '../kernels.ts';

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
    trace: (packet) => `${name}: interface ${packet.tx}, ${describe(packet.bytes.slice())}`,
  };
}

/** Sends IPv4 packets to an adjacency, in fragments where need be. @param adjacencies address of adjacency 0 */
export const ip4Rewrite = (adjacencies: number): NodeDeclaration => rewriteNode(4, adjacencies, 'ip4-frag');

/** Sends IPv6 packets to an adjacency. @param adjacencies address of adjacency 0 */
export const ip6Rewrite = (adjacencies: number): NodeDeclaration => rewriteNode(6, adjacencies);
