import type { NodeDeclaration } from '@lbd/graph';
import { protocolText } from '@lbd/packet';
import { kernels } from '../kernels.ts';

const counters = { completed: 'packets whose TCP or UDP checksum was left to hardware: completed in software' };

/**
 * Feature of `ip4-unicast`, for interfaces with INTERFACE_PARTIAL_CHECKSUMS: completes checksums that a local sender
 * left to hardware that is not there. Fragments pass as they are.
 */
export const l4Checksum: NodeDeclaration = {
  name: 'l4-checksum',
  next: ['drop'],
  counters,
  process: { module: kernels, export: 'l4Checksum4' },
  trace: (packet) => `l4-checksum: ${protocolText(packet.protocol)}`,
};

/** The same on `ip6-unicast`. */
export const l4Checksum6: NodeDeclaration = {
  name: 'l4-checksum6',
  next: ['drop'],
  counters,
  process: { module: kernels, export: 'l4Checksum6' },
  trace: (packet) => `l4-checksum6: ${protocolText(packet.protocol)}`,
};
