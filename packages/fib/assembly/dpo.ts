/** What kernels do with DPO words. */
import { reason } from '@lbd/graph/assembly/abi.ts';
import {
  ADJACENCY_SHIFT,
  DPO_INDEX_MASK,
  DPO_PUNT,
  DPO_SHIFT,
  DROP_REASONS,
  LOAD_BALANCE_BUCKETS,
  LOAD_BALANCE_MASK,
  PUNT_REASONS,
} from '../src/layout.ts';

/** The slot that a DPO leads to; `fanout` is fanoutOf(node) of a node that uses the fan-out `dpo`. */
// @ts-ignore: decorator
@inline export function slotOfDpo(fanout: u32, dpo: u32): u32 {
  return fanout + (dpo >> DPO_SHIFT);
}
// @ts-ignore: decorator
@inline export function indexOfDpo(dpo: u32): u32 {
  return dpo & DPO_INDEX_MASK;
}
/** True if the DPO is drop or punt: whoever sends a packet there must write the reason, see reasonOfDpo. */
// @ts-ignore: decorator
@inline export function endsAt(dpo: u32): bool {
  return dpo >> DPO_SHIFT <= <u32>DPO_PUNT;
}
/**
 * Writes the reason for a packet whose DPO is drop or punt. For nodes whose first counters are those of `lookupCounters`
 * in src/nodes/lookup-counters.ts.
 */
// @ts-ignore: decorator
@inline export function reasonOfDpo(node: usize, meta: usize, dpo: u32): void {
  const index = indexOfDpo(dpo);
  if (dpo >> DPO_SHIFT == DPO_PUNT) reason(node, meta, DROP_REASONS + (index < <u32>PUNT_REASONS ? index : 0));
  else reason(node, meta, index < <u32>DROP_REASONS ? index : 0);
}
/** Address of the adjacency that a DPO word names. */
// @ts-ignore: decorator
@inline export function adjacencyOf(adjacencies: usize, dpo: u32): usize {
  return adjacencies + (<usize>indexOfDpo(dpo) << ADJACENCY_SHIFT);
}
/** The bucket of a load balance that a hash falls into. */
// @ts-ignore: decorator
@inline export function bucketOfHash(balances: usize, dpo: u32, hash: u32): u32 {
  const block: usize = load<u32>(balances + (<usize>indexOfDpo(dpo) << 2));
  // whoever made the hash may have chosen by its low bits before: of the packets that come here, all would share them
  const spread = (hash * 0x9e3779b1) >> 16;
  return load<u32>(block + (<usize>(spread & load<u32>(block, LOAD_BALANCE_MASK)) << 2), LOAD_BALANCE_BUCKETS);
}
