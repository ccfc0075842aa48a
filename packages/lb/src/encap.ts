import type { Feature, NodeDeclaration, Shortcut } from '@lbd/graph';
import type { Arena, Epochs } from '@lbd/memory';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { checkEncap } from './encap-check.ts';
import type { SessionUsage, VipSpec } from './model.ts';
import type { LbHandles } from './tables.ts';

export type Family = 4 | 6;
export type Need = 'required' | 'refused';

/**
 * The version of this interface, and of the layouts that kernels of encaps compile in. lbd loads plugins of its own version
 * only; it is raised by any change that a plugin built before would not survive.
 */
export const ENCAP_API = 1;

/** What is said of an encap without a schema: nothing. */
export type NoOptions = Readonly<Record<string, unknown>>;

/**
 * An encapsulation: how packets are rewritten towards the server that was chosen for them. The built-in ones are made
 * of nothing else. Without arguments, the type of an encap whatever its state and options.
 */
// biome-ignore lint/suspicious/noExplicitAny: what an encap allocates goes to its own nodes, and nobody else looks into it
export interface Encap<State = any, Options = any> {
  /** The version of this interface that it was written for; `defineEncap` fills it in. */
  readonly api?: number;
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
   * What the configuration may say of it, in `encaps.<name>`: a schema of any library that implements Standard Schema (zod,
   * valibot, arktype ...). It is validated when lbd starts, also if nothing is configured (then as `{}`); refuse keys that
   * are not known. Left out: it has no options.
   */
  readonly options?: StandardSchemaV1<unknown, Options>;
  /**
   * Allocates what its nodes share, in the control plane; returns plain data, which workers are given too.
   * @param options what the schema made of the configuration
   * @param tables addresses of the forwarding tables
   */
  readonly allocate?: (
    arena: Arena,
    options: Options,
    tables: { readonly fib4: number; readonly fib6: number },
  ) => State;
  /**
   * Its nodes. One has the encap's name: it is a member of the fan-out `encap`, uses the fan-out `dpo`, and sends each
   * packet to the DPO of its META_AS after rewriting. Called in every thread.
   */
  readonly nodes: (lb: LbHandles, state: State) => readonly NodeDeclaration[];
  /**
   * Name of a node of it that takes packets on a shorter way to servers that are next hops: it does what the node of the
   * encap's name and ip4-rewrite or ip6-rewrite do, and sends packets to interface-output; those that it does not take it must
   * leave as they are, and send them to the node of the encap's name. It gets usual packets only: complete TCP or UDP without
   * options, not fragments, that fit the way to any server of their VIP. (LB_ADJACENCIES has the adjacencies.) Left out:
   * the packets go to the node of the encap's name.
   */
  readonly express?: string;
  /**
   * It keeps flows longer than the sticky tables do, and may know the server of one that these have forgotten. Where no server of a
   * VIP takes new flows, packets of unknown flows then come to its node, too, with META_AS 0: it gives them the server that it
   * knows (`keepFlow` of `assembly/state.ts`), or drops them (`noServer`). Unless told they are dropped before.
   */
  readonly keepsFlows?: boolean;
  /** Nodes of it that are features of an interface, e.g. for return traffic. */
  readonly features?: readonly EncapFeature[];
  /**
   * Nodes of it that take usual packets on a shorter way than through the features, e.g. return traffic, before `ethernet-input`: they
   * get what the load balancer's own shortcuts do not take.
   */
  readonly shortcuts?: readonly Shortcut[];
  /** What there is to say about a VIP of its, for `show lb vips verbose`; a line. */
  readonly show?: (vip: VipSpec) => string;
  /** The control plane's side of an encap that keeps state of flows. */
  readonly control?: (host: EncapHost, state: State) => EncapControl;
}

/** A node of an encap on a feature arc. */
export interface EncapFeature extends Feature {
  /**
   * It leaves packets to VIPs as they are, and does not count them: on interfaces that have it enabled, too, such packets take the
   * shortcut, which goes past it. (Three of an arc at most; with more of them packets go the ordinary way.)
   */
  readonly passesVips?: boolean;
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

/**
 * Checks a definition, gives it its type and states the version of the interface.
 * @throws TypeError that names the encap and the field, and says what is allowed
 */
export function defineEncap<State, Options = NoOptions>(encap: Encap<State, Options>): Encap<State, Options> {
  return checkEncap({ api: ENCAP_API, ...encap });
}
