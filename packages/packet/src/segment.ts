import { fold, pseudoHeader, sum } from './checksum.ts';
import type { Pseudo } from './protocol.ts';

/** Checksum of a whole L4 segment, its checksum field being 0; without addresses around it, of the bytes alone. */
export function segmentChecksum(segment: Uint8Array, protocol: number, pseudo: Pseudo | undefined): number {
  return ~segmentSum(segment, protocol, pseudo) & 0xffff;
}

/** True if a segment's checksum is right; undefined if it can't be told: addresses unknown, or a fragment. */
export function segmentVerifies(
  segment: Uint8Array,
  protocol: number,
  pseudo: Pseudo | undefined,
): boolean | undefined {
  if (!pseudo || pseudo.fragment) return undefined;
  return segmentSum(segment, protocol, pseudo) === 0xffff;
}

/** The folded sum of a segment and its pseudo-header. */
function segmentSum(segment: Uint8Array, protocol: number, pseudo: Pseudo | undefined): number {
  return fold(sum(segment, pseudo ? pseudoHeader(pseudo.src, pseudo.dst, protocol, segment.length) : 0));
}
