/** For encaps: the server that was chosen for a packet, and the way to it. */
import { endsAt, reasonOfDpo, slotOfDpo } from '@lbd/fib/assembly/dpo.ts';
import { META_AS, META_DATA, META_DPO } from '@lbd/graph/src/layout.ts';
import { AS_DPO, AS_SHIFT } from '../src/layout.ts';

/** Address of the record (AS_ words) of the packet's server. `servers` is LB_SERVERS of the worker's block. */
// @ts-ignore: decorator
@inline export function serverOf(servers: usize, meta: usize): usize {
  return servers + (<usize>load<u32>(meta, META_AS) << AS_SHIFT);
}
/**
 * Sends a rewritten packet on its way to the server; returns its next slot. For nodes that use the fan-out `dpo`
 * (`fanout` is fanoutOf(node)) and whose first counters are `lookupCounters` of @lbd/fib.
 */
// @ts-ignore: decorator
@inline export function toServer(node: usize, meta: usize, server: usize, fanout: u32): u32 {
  const dpo = load<u32>(server, AS_DPO);
  store<u32>(meta, dpo, META_DPO);
  if (endsAt(dpo)) reasonOfDpo(node, meta, dpo);
  return slotOfDpo(fanout, dpo);
}
/** The packet now begins `bytes` earlier, where a header was put in front of it: META_DATA and META_LENGTH are halves of one word. */
// @ts-ignore: decorator
@inline export function prepend(meta: usize, bytes: u32): void {
  store<u32>(meta, load<u32>(meta, META_DATA) + (bytes << 16) - bytes, META_DATA);
}
/** TOS of an IPv4 packet, traffic class of an IPv6 one: DSCP in the high six bits, ECN in the low two. */
// @ts-ignore: decorator
@inline export function innerTos(ip: usize): u32 {
  const word: u32 = load<u16>(ip);
  return (word & 0x20) != 0 ? ((word & 15) << 4) | (word >>> 12) : word >>> 8;
}
