import type { NodeDeclaration } from '@lbd/graph';
import { describe } from '@lbd/packet';
import { kernels } from '../kernels.ts';

/** Validates IPv6 headers, walks extension headers, and starts the arc `ip6-unicast`. */
export const ip6Input: NodeDeclaration = {
  name: 'ip6-input',
  next: ['drop', 'ip6-icmp-error'],
  counters: {
    truncated: 'shorter than its header, or than its payload length says: dropped',
    'bad version': 'IP version is not 6: dropped',
    'hop limit exceeded': 'came in with hop limit 0: answered with ICMPv6 time exceeded',
    'bad source': 'source address is unspecified, loopback or multicast: dropped',
    'bad extension headers': 'extension headers beyond the packet’s end, or more than 8: dropped',
  },
  process: { module: kernels, export: 'ip6Input' },
  trace: (packet) => `ip6-input: ${describe(packet.bytes.slice(), 'ip')}`,
};
