import type { NodeDeclaration } from '@lbd/graph';
import type { Memory } from '@lbd/memory';
import { DpoFormats } from '../dpo.ts';
import { kernels } from '../kernels.ts';
import { lookupCounters } from './lookup-counters.ts';

/** Fan-out of the nodes that serve DPO types: member k serves type k. */
export const DPO = 'dpo';

const words = new DpoFormats();

/** A node whose data is the address of its table. */
function lookupNode(name: string, kernel: string, table: number): NodeDeclaration {
  return {
    name,
    fanOut: DPO,
    counters: lookupCounters,
    dataBytes: 4,
    init: (memory: Memory, address: number) => {
      memory.u32[address >>> 2] = table;
    },
    process: { module: kernels, export: kernel },
    trace: (packet) => `${name}: ${words.format(packet.dpo)}`,
  };
}

/** Finds the DPO of the IPv4 destination. @param fib4 address of the FIB */
export const ip4Lookup = (fib4: number): NodeDeclaration => lookupNode('ip4-lookup', 'ip4Lookup', fib4);

/** Finds the DPO of the IPv6 destination. @param fib6 address of the FIB */
export const ip6Lookup = (fib6: number): NodeDeclaration => lookupNode('ip6-lookup', 'ip6Lookup', fib6);

/** Chooses one of several DPOs by the flow's hash. @param balances address of the load balances */
export const loadBalance = (balances: number): NodeDeclaration => lookupNode('load-balance', 'loadBalance', balances);
