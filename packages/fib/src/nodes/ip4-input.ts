import type { NodeDeclaration } from '@lbd/graph';
import { describe } from '@lbd/packet';
import { kernels } from '../kernels.ts';

/** Validates IPv4 headers and starts the arc `ip4-unicast`. */
export const ip4Input: NodeDeclaration = {
  name: 'ip4-input',
  next: ['drop', 'ip4-icmp-error'],
  counters: {
    truncated: 'shorter than its header, or than its total length says: dropped',
    'bad version': 'IP version is not 4: dropped',
    'bad header length': 'header length below 20 bytes: dropped',
    'bad length': 'total length shorter than the header: dropped',
    'bad checksum': 'wrong header checksum: dropped',
    'ttl expired': 'came in with TTL 0: answered with ICMP time exceeded',
    'bad source': 'source address is 0.0.0.0/8, loopback, multicast or reserved: dropped',
  },
  process: { module: kernels, export: 'ip4Input' },
  trace: (packet) => `ip4-input: ${describe(packet.bytes.slice(), 'ip')}`,
};
