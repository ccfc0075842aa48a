import type { Feature, NodeDeclaration } from '@lbd/graph';
import type { Arena, Epochs } from '@lbd/memory';
import type { SessionUsage, VipSpec } from './model.ts';
import type { LbHandles } from './tables.ts';

export type Family = 4 | 6;
export type Need = 'required' | 'refused';

/**
 * An encapsulation: how packets are rewritten towards the server that was chosen for them. The built-in ones are made
 * of nothing else.
 */
export interface Encap<State = unknown> {
  /** As in `lb vip ... encap <name>`; also the name of its rewriting node. */
  readonly name: string;
  /** What it does, in a line, for `show lb encaps`. */
  readonly summary: string;
  /** Families of VIPs that it serves. */
  readonly vipFamilies: readonly Family[];
  /** Family of the servers' addresses. */
  readonly serverFamily: Family;
  /** Bytes that it adds to a packet: larger ones than the way to the server takes, less these, never come to its node. */
  readonly overhead: number;
  /**
   * Set if packets are carried whole, behind an outer header of `serverFamily` with one of these IP protocols, `overhead` bytes
   * in all, sent from the configured source address of that family. TTL and hop limit then stay as they are, and ICMP errors
   * that routers send about the tunnel's packets are passed on to the clients. Else the packet itself is forwarded: one whose
   * TTL would become 0 never comes to the node.
   */
  readonly tunnel?: { readonly protocols: readonly number[] };
  /** What `lb vip` must or must not say for it. */
  readonly vip: {
    /** `required`: per-port VIPs only. */
    readonly port?: 'required';
    readonly targetPort: Need;
    readonly dscp: Need;
  };
  /**
   * Allocates what its nodes share, in the control plane; returns plain data, which workers are given too.
   * @param tables addresses of the forwarding tables
   */
  readonly allocate?: (
    arena: Arena,
    options: Readonly<Record<string, unknown>>,
    tables: { readonly fib4: number; readonly fib6: number },
  ) => State;
  /**
   * Its nodes. One has the encap's name: it is a member of the fan-out `encap`, uses the fan-out `dpo`, and sends each
   * packet to the DPO of its META_AS after rewriting. Called in every thread.
   */
  readonly nodes: (lb: LbHandles, state: State) => readonly NodeDeclaration[];
  /** Nodes of it that are features of an interface, e.g. for return traffic. */
  readonly features?: readonly Feature[];
  /** What there is to say about a VIP of its, for `show lb vips verbose`; a line. */
  readonly show?: (vip: VipSpec) => string;
  /** The control plane's side of an encap that keeps state of flows. */
  readonly control?: (host: EncapHost, state: State) => EncapControl;
}

/** What the control side of a stateful encap works with. */
export interface EncapHost {
  readonly arena: Arena;
  readonly epochs: Epochs;
  readonly lb: LbHandles;
  /** Seconds on the workers' clock, in which expiries are counted. */
  now(): number;
}

/** Hooks by which a stateful encap follows VIPs and servers. Server and VIP are indices of their records. */
export interface EncapControl {
  serverAdded?(server: number, vip: number, spec: VipSpec): void;
  /** The record of a server is about to be freed. */
  serverFreed?(server: number, vip: number, spec: VipSpec): void;
  /** End the flows of these servers at once. */
  flush?(servers: ReadonlySet<number>): void | Promise<void>;
  /** How many flows that live at a second are held, by server index. */
  countFlows?(now: number): ReadonlyMap<number, number>;
  /** Called about once a second: end what has timed out. */
  sweep?(): void | Promise<void>;
  usage?(): SessionUsage;
}

/** Checks a definition and gives it its type. @throws TypeError that says what is missing */
export function defineEncap<State>(encap: Encap<State>): Encap<State> {
  if (!/^[a-z][a-z0-9-]*$/.test(encap.name)) throw new TypeError(`encap name "${encap.name}": must be kebab case`);
  if (encap.vipFamilies.length === 0) throw new TypeError(`encap ${encap.name}: vipFamilies is empty`);
  if (!Number.isInteger(encap.overhead) || encap.overhead < 0 || encap.overhead > 200) {
    throw new TypeError(`encap ${encap.name}: overhead ${encap.overhead}: must be 0 to 200 bytes`);
  }
  return encap;
}
