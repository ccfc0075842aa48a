/** The server of a flow, for packets one at a time. */
import { fanoutOf, nowOf, reason } from '@lbd/graph/assembly/abi.ts';
import { META_AS, META_DPO, META_HASH, META_OPAQUE } from '@lbd/graph/src/layout.ts';
import {
  stickyAs,
  stickyFind,
  stickyFree,
  stickyInsert,
  stickyRefresh,
  stickyState,
  stickyTimeout,
} from '@lbd/sticky/assembly/sticky.ts';
import {
  LB_COUNT_NO_SERVER,
  LB_COUNTERS,
  LB_NEXT_DROP,
  LB_STICKY,
  VIP_COUNTER_EXISTING,
  VIP_COUNTER_FIRST,
  VIP_COUNTER_NO_SERVER,
  VIP_COUNTER_UNTRACKED,
  VIP_COUNTERS_SHIFT,
  VIP_ENCAP,
  VIP_FLAGS,
  VIP_KEEPS_FLOWS,
  VIP_MASK,
  VIP_NEW_FLOW,
} from '../src/layout.ts';
import { flowHashOf, vipRecord } from './hash.ts';

// @ts-ignore: decorator
@inline export function addToCounter(lb: usize, vip: u32, counter: usize, n: u32): void {
  const at: usize = <usize>load<u32>(lb, LB_COUNTERS) + (<usize>vip << VIP_COUNTERS_SHIFT) + (counter << 3);
  store<u64>(at, load<u64>(at) + n);
}

/** Slot of the VIP's encap. */
// @ts-ignore: decorator
@inline export function encapSlot(node: usize, record: usize): u32 {
  return fanoutOf(node) + load<u32>(record, VIP_ENCAP);
}

/** Gives the packet of a flow (META_HASH) that the sticky table knows its server and state; false if it does not know it. */
export function takeKnown(node: usize, lb: usize, meta: usize, vip: u32, refresh: bool): bool {
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const hash = load<u32>(meta, META_HASH);
  const now = nowOf(node);
  const entry = stickyFind(sticky, hash, vip, now);
  if (entry == 0) return false;
  if (refresh) {
    stickyRefresh(entry, now + stickyTimeout(sticky));
    addToCounter(lb, vip, VIP_COUNTER_EXISTING, 1);
  }
  store<u32>(meta, stickyAs(entry), META_AS);
  store<u32>(meta, stickyState(entry), META_OPAQUE);
  return true;
}

/** Gives the packet the server of the new-flow table, 0 if there is none. */
// @ts-ignore: decorator
@inline function takeNew(meta: usize, record: usize, choice: u32): u32 {
  const place = choice & load<u32>(record, VIP_MASK);
  const server = load<u32>(<usize>load<u32>(record, VIP_NEW_FLOW) + (<usize>place << 2));
  store<u32>(meta, server, META_AS);
  store<u32>(meta, 0, META_OPAQUE);
  return server;
}

/**
 * The server of a flow that the sticky table does not know; `choice` is the flow hash that chooses it. False, and the reason is written:
 * there is none. True with META_AS 0: there is none, but the encap may know one, see VIP_KEEPS_FLOWS.
 */
export function takeServer(node: usize, lb: usize, meta: usize, vip: u32, choice: u32, remember: bool): bool {
  const record = vipRecord(lb, vip);
  const server = takeNew(meta, record, choice);
  if (server == 0) {
    if (load<u32>(record, VIP_FLAGS) & VIP_KEEPS_FLOWS) {
      store<u32>(meta, vip, META_DPO);
      return true;
    }
    addToCounter(lb, vip, VIP_COUNTER_NO_SERVER, 1);
    reason(node, meta, LB_COUNT_NO_SERVER);
    return false;
  }
  if (remember) rememberFlow(lb, meta, vip, server, nowOf(node));
  return true;
}

/** Enters the flow (META_HASH) in the sticky table if there is room, and counts. */
export function rememberFlow(lb: usize, meta: usize, vip: u32, server: u32, now: u32): void {
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const hash = load<u32>(meta, META_HASH);
  const free = stickyFree(sticky, hash, now);
  if (free != 0) stickyInsert(free, hash, vip, server, now + stickyTimeout(sticky));
  addToCounter(lb, vip, free != 0 ? VIP_COUNTER_FIRST : VIP_COUNTER_UNTRACKED, 1);
}

/** A usual packet whose flow is not in its own bucket of the sticky table. Returns its next slot. */
export function newFlow(node: usize, lb: usize, ip: usize, meta: usize, vip: u32): u32 {
  const record = vipRecord(lb, vip);
  if (takeKnown(node, lb, meta, vip, true)) return encapSlot(node, record);
  return takeServer(node, lb, meta, vip, flowHashOf(lb, ip, meta, record), true) ? encapSlot(node, record) : <u32>LB_NEXT_DROP;
}
