import type { Arena } from '@lbd/memory';
import { TEMPLATE_BYTES } from '../layout.ts';

/** What all flows have in common: 90.0.0.1, UDP port 20000 is the VIP; flow f comes from 1.0.0.0 + f, port 10000. */
export const VIP_ADDRESS = '90.0.0.1';
export const VIP_PORT = 20000;

const HEADERS = Uint8Array.from([
  ...[0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02, 0x08, 0x00],
  ...[0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 1, 0, 0, 0, 90, 0, 0, 1],
  ...[10000 >> 8, 10000 & 255, VIP_PORT >> 8, VIP_PORT & 255, 0, 30, 0x12, 0x34],
]);
const IP = 14;
const IP_CHECKSUM = IP + 10;
const IP_SOURCE = IP + 12;

/**
 * Writes one 64-byte packet for each flow, the same as the C reference has; returns their address. The UDP checksum is
 * not right, and nobody on the path may care: it is updated, not verified.
 */
export function makeTemplates(arena: Arena, flows: number): number {
  const address = arena.allocate('bench: templates', flows * TEMPLATE_BYTES);
  const { u8 } = arena.memory;
  for (let flow = 0; flow < flows; flow++) {
    const at = address + flow * TEMPLATE_BYTES;
    u8.set(HEADERS, at);
    u8[at + IP_SOURCE + 1] = flow >>> 16;
    u8[at + IP_SOURCE + 2] = flow >>> 8;
    u8[at + IP_SOURCE + 3] = flow;
    let sum = 0;
    for (let i = IP; i < IP + 20; i += 2) sum += (u8[at + i]! << 8) | u8[at + i + 1]!;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    u8[at + IP_CHECKSUM] = ~sum >>> 8;
    u8[at + IP_CHECKSUM + 1] = ~sum;
  }
  return address;
}
