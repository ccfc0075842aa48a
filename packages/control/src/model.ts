/**
 * What control talks to: the load balancer's model and the dataplane, as plain data. Whoever has methods of
 * these shapes can be controlled (the daemon, a test). What the load balancer is told and tells is described by @lbd/lb,
 * of which control takes the types and nothing else.
 *
 * Names are those of VPP's commands in camel case. Addresses are text (`10.0.0.1`, `2001:db8::1`), prefixes text with a
 * length and no bits beyond it (`10.0.0.0/8`), ports numbers 1 to 65535 in host order, times seconds.
 *
 * Values arrive checked as far as that needs no state (ranges, powers of two, families: see operations.ts). What depends
 * on state (is there such a VIP?) the model checks; it throws an Error with a `code` that begins with `LBD_` and a message
 * that says what was wrong and what is allowed, and then nothing has changed. A method may return a promise.
 */

import type {
  AddServers,
  DeleteServers,
  EncapState,
  LbConf,
  LbConfState,
  LbSummary,
  NatInterface,
  SetWeight,
  VipKey,
  VipSpec,
  VipState,
} from '@lbd/lb';

export type {
  AddServers,
  DeleteServers,
  EncapOptionState,
  EncapState,
  FlowHash,
  L4Protocol,
  LbConf,
  LbConfState,
  LbSummary,
  NatInterface,
  ServerState,
  ServiceType,
  SessionUsage,
  SetWeight,
  StickyUsage,
  VipCounters,
  VipKey,
  VipSpec,
  VipState,
} from '@lbd/lb';

export type Awaitable<T> = T | Promise<T>;

/** The load balancer. */
export interface LoadBalancerModel {
  lbConf(change: LbConf): Awaitable<void>;
  lbConfGet(): Awaitable<LbConfState>;
  addVip(vip: VipSpec): Awaitable<void>;
  deleteVip(vip: VipKey): Awaitable<void>;
  addServers(operation: AddServers): Awaitable<void>;
  setWeight(operation: SetWeight): Awaitable<void>;
  deleteServers(operation: DeleteServers): Awaitable<void>;
  /** Evicts the sticky entries of the VIP, so that all its flows are chosen anew. */
  flushVip(vip: VipKey): Awaitable<void>;
  setNatInterface(operation: NatInterface): Awaitable<void>;
  /** Evicts every sticky entry (`test lb flowtable flush`). */
  flushFlowTable(): Awaitable<void>;
  summary(): Awaitable<LbSummary>;
  /** In the order of their indices. */
  vips(): Awaitable<readonly VipState[]>;
  /** The encaps that VIPs may have, those of plugins too. */
  encaps(): Awaitable<readonly EncapState[]>;
}

export interface NodeRuntime {
  readonly worker: number;
  readonly name: string;
  /** `polling` for input nodes, `disabled` if it trapped again and again, else `active`. */
  readonly state: 'polling' | 'active' | 'disabled';
  readonly calls: number;
  readonly packets: number;
  /** Time spent in the node. */
  readonly nanoseconds: number;
}

/** How long packets may have waited for a worker: times between the beginnings of its breaths, sleep left out. */
export interface WorkerPauses {
  /** Milliseconds. */
  readonly longest: number;
  /** All together, milliseconds, since the worker began. */
  readonly sum: number;
  /** How many: first those shorter than a microsecond, then less than 2, 4, 8, ... microseconds, at last all longer ones. */
  readonly counts: readonly number[];
}

export interface WorkerRuntime {
  readonly worker: number;
  /** Seconds since the start or the last `clear runtime`. */
  readonly seconds: number;
  readonly breaths: number;
  readonly pauses: WorkerPauses;
  readonly sleeps: number;
  readonly freeBuffers: number;
  readonly buffers: number;
}

export interface Runtime {
  readonly workers: readonly WorkerRuntime[];
  readonly nodes: readonly NodeRuntime[];
}

/** A counter of a node: why packets were dropped or punted, or something worth counting. Summed over the workers. */
export interface NodeCounter {
  readonly node: string;
  readonly name: string;
  readonly meaning: string;
  readonly count: number;
}

export interface InterfaceState {
  readonly index: number;
  readonly name: string;
  readonly driver: string;
  /** How the driver opened it, e.g. `native`. */
  readonly mode: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  readonly ifindex: number;
  readonly queues: number;
  readonly addresses: readonly string[];
  /** Features enabled on it, e.g. `nat4 in`. */
  readonly features: readonly string[];
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly rxDrops: number;
  readonly txDrops: number;
}

export interface NodeInfo {
  readonly name: string;
  readonly kind: 'input' | 'internal' | 'output';
  /** How its loop is written: a WebAssembly kernel or a TypeScript function. */
  readonly loop: 'kernel' | 'function';
  /** Names of its next nodes, by slot. */
  readonly next: readonly string[];
  /** Names of the nodes that have it as next. */
  readonly previous: readonly string[];
  readonly counters: readonly { readonly name: string; readonly meaning: string }[];
  /** In how many workers it is disabled, since it trapped again and again: packets that come to it are dropped. */
  readonly disabled: number;
}

export interface RouteState {
  readonly prefix: string;
  /** Where packets go, one line for each path, e.g. `via 10.0.0.1 lan0 02:00:00:00:00:01`. */
  readonly paths: readonly string[];
}

export interface MemoryState {
  readonly bytes: number;
  /** Bytes never yet handed out. */
  readonly remaining: number;
  readonly allocations: readonly { readonly label: string; readonly address: number; readonly bytes: number }[];
}

/** What one node did to a traced packet. */
export interface TraceStep {
  readonly node: string;
  /** The node's own words, a line or more; empty if it has none. */
  readonly text: string;
}

export interface PacketTrace {
  readonly worker: number;
  /** Milliseconds since the start of lbd. */
  readonly milliseconds: number;
  readonly steps: readonly TraceStep[];
}

export interface VersionState {
  readonly version: string;
  readonly node: string;
  readonly workers: number;
  /** Seconds since the start. */
  readonly uptime: number;
}

/** The dataplane, to look at. */
export interface DataplaneModel {
  version(): Awaitable<VersionState>;
  runtime(): Awaitable<Runtime>;
  clearRuntime(): Awaitable<void>;
  /** Every counter of every node, those that are zero too. */
  errors(): Awaitable<readonly NodeCounter[]>;
  clearErrors(): Awaitable<void>;
  interfaces(): Awaitable<readonly InterfaceState[]>;
  nodes(): Awaitable<readonly NodeInfo[]>;
  routes(family: 4 | 6): Awaitable<readonly RouteState[]>;
  memory(): Awaitable<MemoryState>;
  /** Trace the next `count` packets that come in. */
  traceAdd(count: number): Awaitable<void>;
  trace(): Awaitable<readonly PacketTrace[]>;
  clearTrace(): Awaitable<void>;
}

export interface Lbd {
  readonly lb: LoadBalancerModel;
  readonly dataplane: DataplaneModel;
}
