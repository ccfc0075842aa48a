import { DPO_DROP, DPO_PUNT, DROP_REASONS, dpoIndex, dpoType, lookupCounters, PUNT_REASONS } from '@lbd/fib';
import { NODE_FANOUT, type NodeContext, type PacketView } from '@lbd/graph';
import { AS_DPO, AS_SHIFT } from './layout.ts';
import type { LbHandles } from './tables.ts';

const REASONS = Object.keys(lookupCounters);

/** Address of the record (AS_ words) of the packet's server, for nodes of encaps in TypeScript. */
export function serverOf(lb: LbHandles, packet: PacketView): number {
  return lb.servers + (packet.as << AS_SHIFT);
}

/**
 * Sends a rewritten packet on its way to the server; returns its next slot. As `toServer` of `assembly/encap.ts`, for nodes in
 * TypeScript that use the fan-out `dpo` and whose first counters are `lookupCounters` of @lbd/fib.
 */
export function toServer({ memory, node, reason }: NodeContext, lb: LbHandles, packet: PacketView): number {
  const word = memory.u32[(serverOf(lb, packet) + AS_DPO) >>> 2]!;
  packet.dpo = word;
  const [type, index] = [dpoType(word), dpoIndex(word)];
  if (type === DPO_DROP) reason(packet, REASONS[index < DROP_REASONS ? index : 0]!);
  if (type === DPO_PUNT) reason(packet, REASONS[DROP_REASONS + (index < PUNT_REASONS ? index : 0)]!);
  return memory.u32[(node + NODE_FANOUT) >>> 2]! + type;
}
