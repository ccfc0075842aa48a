/** Packets that lbd makes itself. */
import { FLAG_MADE, FLAG_TRACED, FRAME_HEADROOM, META_FLAGS, META_HASH, META_L4, META_LENGTH } from '@lbd/graph/src/layout.ts';
import { ETHERNET_BYTES } from '@lbd/packet/src/layout.ts';

/**
 * Offset in the frame of their IP header: where drivers place that of a received packet. The Ethernet header that the packet
 * they are about came with is then in front, should they be punted.
 */
// @ts-ignore: decorator
@inline export const MADE_AT: u32 = FRAME_HEADROOM + ETHERNET_BYTES;

/**
 * Writes the metadata that an input node would write for a packet of `length` bytes whose L4 header is at `l4`, and keeps
 * what says where the buffer came from.
 */
// @ts-ignore: decorator
@inline export function made(meta: usize, length: u32, l4: u32, protocol: u32): void {
  store<u16>(meta, length, META_LENGTH);
  store<u16>(meta, (load<u16>(meta, META_FLAGS) & FLAG_TRACED) | FLAG_MADE, META_FLAGS);
  store<u32>(meta, 0, META_HASH);
  store<u32>(meta, l4 | (protocol << 16), META_L4); // and META_PROTOCOL
}
