import type { Memory } from '@lbd/memory';
import type { PacketView } from './packet-view.ts';

/** What a TypeScript node works with: the same block, vector and memory that a kernel would be given. */
export interface NodeContext {
  readonly memory: Memory;
  /** Address of the node's block in this worker: the NODE_ words of layout.ts, then its own data at NODE_DATA. */
  readonly node: number;
  /** Address of the worker block. */
  readonly worker: number;
  /** A reusable view of one buffer; valid until the next call. */
  packet(buffer: number): PacketView;
  /** Slot of an own next node, by the name it has in `next`. Look it up once, not per packet. */
  slot(next: string): number;
  /** Says why a packet goes to drop or punt: the name of one of the node's counters. */
  reason(packet: PacketView, counter: string): void;
  /** Adds to one of the node's counters. */
  count(counter: string, n?: number): void;
  /** Sends a message to the control plane (structured clone), for slow-path work. Never per packet unbounded. */
  post(message: unknown): void;
}

/** A node's loop in TypeScript. Returns a slot for the whole vector, or MIXED after writing each one's to `nexts`. */
export type NodeFunction = (
  context: NodeContext,
  vector: Uint32Array<SharedArrayBuffer>,
  count: number,
  nexts: Uint16Array<SharedArrayBuffer>,
) => number;

/** A node's loop in AssemblyScript: an exported function of a kernel module, with the signature of layout.ts. */
export interface Kernel {
  /** The compiled kernel module, usually `new URL('../dist/kernels.wasm', import.meta.url)`. */
  readonly module: URL;
  readonly export: string;
}

export interface NodeDeclaration {
  /** Unique in the graph, in the field's kebab case: `ip4-lookup`. */
  readonly name: string;
  /**
   * `input` nodes are polled: their loop fills the vector and returns the count, and all packets go to their first next.
   * `output` nodes consume: they have no next, and what they return is ignored. Others are `internal`.
   */
  readonly kind?: 'input' | 'internal' | 'output';
  /** Next nodes by name. A kernel knows them by place: slot 0 is the first. */
  readonly next?: readonly string[];
  /** Name of a fan-out whose members are next nodes too, at slots NODE_FANOUT and up. */
  readonly fanOut?: string;
  /**
   * Name of a feature arc that the node goes past: its kernel reads there whether an interface has features enabled (see
   * hasFeatures() of abi.ts), whose packets it must leave to the arc.
   */
  readonly watches?: string;
  /**
   * Features of that arc whose work the node does, too: it may take packets of interfaces that have no others, and then counts
   * with their counters. (See featuresOf() of abi.ts; at most 4.) Names that are not on the arc are ignored.
   */
  readonly standsFor?: readonly string[];
  /** Counters by name, each with what it means. A kernel knows them by place. Drop and punt reasons are among them. */
  readonly counters?: Readonly<Record<string, string>>;
  /** Bytes of the node's own data behind NODE_DATA, per worker. */
  readonly dataBytes?: number;
  /** Fills the node's data, once per worker and before it runs; address is that of NODE_DATA. */
  readonly init?: (memory: Memory, address: number, worker: number) => void;
  readonly process: Kernel | NodeFunction;
  /** Says what the node did to a packet, after it ran and before the next node does; a line or two, for `show trace`. */
  readonly trace?: (packet: PacketView, memory: Memory) => string;
}

/** A feature arc: from the node `start`, through the features enabled on the packet's interface, to the node `end`. */
export interface FeatureArc {
  readonly name: string;
  readonly start: string;
  readonly end: string;
}

/** A node's place on an arc, relative to others. Names that are not on the arc are ignored, as in VPP. */
export interface Feature {
  readonly arc: string;
  readonly node: string;
  readonly runsBefore?: readonly string[];
  readonly runsAfter?: readonly string[];
}

/**
 * A shorter way for the usual packets: `node` gets what input nodes have for the node `instead`. It must leave no trace on
 * the packets that it does not take, and send them to `instead`, which is one of its next nodes. Packets are the same at the end of
 * either way, and so are all counters that say why packets end. There may be several for one node: then what the first
 * sends to `instead` goes to the second, and so on. While packets are traced, and where one of the shortcuts is disabled, all
 * go the ordinary way.
 */
export interface Shortcut {
  readonly node: string;
  readonly instead: string;
}

export function isKernel(process: NodeDeclaration['process']): process is Kernel {
  return typeof process !== 'function';
}
