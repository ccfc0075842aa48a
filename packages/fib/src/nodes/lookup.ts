import type { NodeDeclaration } from '@lbd/graph';
import type { Memory } from '@lbd/memory';
import type { DpoFormats } from '../dpo.ts';
import { kernels } from '../kernels.ts';
import { FIB6_LAST_BYTES, LOOKUP6_LAST } from '../layout.ts';
import { lookupCounters } from './lookup-counters.ts';

/** Fan-out of the nodes that serve DPO types: member k serves type k. */
export const DPO = 'dpo';

/** A node whose data begin with the address of its table. */
function lookupNode(name: string, kernel: string, table: number, words: DpoFormats): NodeDeclaration {
  return {
    name,
    fanOut: DPO,
    counters: lookupCounters,
    dataBytes: LOOKUP6_LAST + FIB6_LAST_BYTES,
    init: (memory: Memory, address: number) => {
      memory.u32[address >>> 2] = table;
    },
    process: { module: kernels, export: kernel },
    trace: (packet) => `${name}: ${words.format(packet.dpo)}`,
  };
}

/** Finds the DPO of the IPv4 destination. @param fib4 address of the FIB */
export const ip4Lookup = (fib4: number, words: DpoFormats): NodeDeclaration =>
  lookupNode('ip4-lookup', 'ip4Lookup', fib4, words);

/** Finds the DPO of the IPv6 destination. @param fib6 address of the FIB */
export const ip6Lookup = (fib6: number, words: DpoFormats): NodeDeclaration =>
  lookupNode('ip6-lookup', 'ip6Lookup', fib6, words);

/** Chooses one of several DPOs by the flow's hash. @param balances address of the load balances */
export const loadBalance = (balances: number, words: DpoFormats): NodeDeclaration =>
  lookupNode('load-balance', 'loadBalance', balances, words);
