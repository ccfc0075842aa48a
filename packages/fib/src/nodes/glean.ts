import { type NodeDeclaration, type PacketView, WORKER_NOW_MS } from '@lbd/graph';
import type { Memory } from '@lbd/memory';
import { addressText, type Family, IP4_DESTINATION, IP6_DESTINATION } from '@lbd/packet';
import { dpoIndex, dpoType } from '../dpo.ts';
import * as L from '../layout.ts';

/** What a glean node asks the control plane for: that the kernel find out a neighbour's MAC address. */
export interface ResolveRequest {
  readonly type: 'resolve';
  /** Index of the interface. */
  readonly interface: number;
  readonly address: string;
}

/** An address is asked for at most this often. */
const INTERVAL_MS = 500;
/** Addresses remembered; a sweep over many destinations must not take memory, nor flood the control plane. */
const MAX_ADDRESSES = 1024;

/** Packets whose next hop has no known MAC address: asks for it, and drops them. @param adjacencies address of adjacency 0 */
export function gleanNode(family: Family, adjacencies: number): NodeDeclaration {
  const asked = new Map<string, number>();
  const name = `ip${family}-glean`;
  return {
    name,
    next: ['drop'],
    counters: {
      unresolved: 'the next hop’s MAC address is not known yet: dropped, and asked for',
      requests: 'requests to resolve an address',
    },
    process(context, vector, count) {
      const now = context.memory.u32[(context.worker + WORKER_NOW_MS) >>> 2]!;
      for (let i = 0; i < count; i++) {
        const packet = context.packet(vector[i]!);
        context.reason(packet, 'unresolved');
        const hop = nextHop(packet, context.memory, adjacencies, family);
        const key = `${hop.interface} ${hop.address}`;
        const last = asked.get(key);
        // differences of a wrapping u32
        if (last !== undefined && (now - last) >>> 0 < INTERVAL_MS) continue;
        if (last === undefined && asked.size >= MAX_ADDRESSES) {
          forget(asked, now);
          if (asked.size >= MAX_ADDRESSES) continue;
        }
        asked.set(key, now);
        context.count('requests');
        context.post({ type: 'resolve', ...hop } satisfies ResolveRequest);
      }
      return context.slot('drop');
    },
    trace(packet, memory) {
      const hop = nextHop(packet, memory, adjacencies, family);
      return `${name}: interface ${hop.interface}, ${hop.address} is not resolved`;
    },
  };
}

/** An adjacency names its next hop; a glean DPO means the destination itself. */
function nextHop(packet: PacketView, memory: Memory, adjacencies: number, family: Family) {
  const index = dpoIndex(packet.dpo);
  const type = dpoType(packet.dpo);
  if (type !== L.DPO_ADJACENCY4 && type !== L.DPO_ADJACENCY6) {
    const at = family === 4 ? IP4_DESTINATION : IP6_DESTINATION;
    const address = packet.bytes.slice(at, at + (family === 4 ? 4 : 16));
    return { interface: index, address: addressText(address) };
  }
  const adjacency = adjacencies + index * (1 << L.ADJACENCY_SHIFT);
  const bytes = memory.u32[(adjacency + L.ADJACENCY_HOP_BYTES) >>> 2]!;
  const hop = memory.u8.slice(adjacency + L.ADJACENCY_HOP, adjacency + L.ADJACENCY_HOP + bytes);
  return { interface: memory.u32[(adjacency + L.ADJACENCY_INTERFACE) >>> 2]!, address: addressText(hop) };
}

/** Drops what may be asked for again anyway. */
function forget(asked: Map<string, number>, now: number): void {
  for (const [key, at] of asked) if ((now - at) >>> 0 >= INTERVAL_MS) asked.delete(key);
}
