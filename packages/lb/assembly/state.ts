/** For encaps: what they keep with a flow. The choosing nodes write it to META_OPAQUE, 0 if there is nothing. */
import { META_AS, META_DPO, META_HASH } from '@lbd/graph/src/layout.ts';
import { stickyFind, stickySetState } from '@lbd/sticky/assembly/sticky.ts';
import { AS_SHIFT, AS_VIP, LB_SERVERS, LB_STICKY, VIP_COUNTER_NO_SERVER } from '../src/layout.ts';
import { addToCounter, rememberFlow } from './flow.ts';

/**
 * Keeps 24 bits with the flow of a packet that the choosing nodes have given a server, for as long as the worker's sticky
 * table has it. An untracked flow keeps nothing.
 */
export function setFlowState(lb: usize, meta: usize, now: u32, state: u32): void {
  const hash = load<u32>(meta, META_HASH);
  const vip = load<u32>(<usize>load<u32>(lb, LB_SERVERS) + (<usize>load<u32>(meta, META_AS) << AS_SHIFT), AS_VIP);
  const entry = stickyFind(load<u32>(lb, LB_STICKY), hash, vip, now);
  if (entry != 0) stickySetState(entry, state);
}

// For encaps with `keepsFlows`, of packets that come with META_AS 0: no server of their VIP (in META_DPO) takes new flows.

/** The encap knows the server: gives the packet it, and has the flow remembered as if it were new. Call it before META_DPO is written. */
export function keepFlow(lb: usize, meta: usize, now: u32, server: u32): void {
  rememberFlow(lb, meta, load<u32>(meta, META_DPO), server, now);
  store<u32>(meta, server, META_AS);
}

/** It does not: counts. The packet is to be dropped. */
export function noServer(lb: usize, meta: usize): void {
  addToCounter(lb, load<u32>(meta, META_DPO), VIP_COUNTER_NO_SERVER, 1);
}
