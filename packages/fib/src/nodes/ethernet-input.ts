import type { NodeDeclaration } from '@lbd/graph';
import { ETHERNET_BYTES, ethernet } from '@lbd/packet';
import { kernels } from '../kernels.ts';

/**
 * Where packets from drivers start. Checks the destination MAC address, takes the Ethernet header off. What it punts has
 * the network header as current header too.
 */
export const ethernetInput: NodeDeclaration = {
  name: 'ethernet-input',
  next: ['ip4-input', 'ip6-input', 'punt', 'drop'],
  counters: {
    runt: 'shorter than an Ethernet header: dropped',
    'not for this host': 'the destination MAC address is not the interface’s: dropped',
    'link-layer broadcast or multicast': 'the destination MAC address is a group’s: punted',
    'unknown ethertype': 'neither IPv4 nor IPv6 (ARP, VLAN ...): punted',
  },
  process: { module: kernels, export: 'ethernetInput' },
  trace(packet, memory) {
    const start = packet.address - ETHERNET_BYTES;
    const header = memory.u8.slice(start, start + ETHERNET_BYTES);
    const words = ethernet.display(ethernet.parse(header).fields);
    return `ethernet-input: interface ${packet.rx}, ${words}, ${packet.length} bytes`;
  },
};
