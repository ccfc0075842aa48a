/**
 * What control talks to: the load balancer's model and the dataplane, as plain data. Control imports nothing of them;
 * whoever has methods of these shapes can be controlled (the daemon, a test).
 *
 * Names are those of VPP's commands in camel case. Addresses are text (`10.0.0.1`, `2001:db8::1`), prefixes text with a
 * length and no bits beyond it (`10.0.0.0/8`), ports numbers 1 to 65535 in host order, times seconds.
 *
 * Values arrive checked as far as that needs no state (ranges, powers of two, families: see operations.ts). What depends
 * on state (is there such a VIP?) the model checks; it throws an Error with a `code` that begins with `LBD_` and a message
 * that says what was wrong and what is allowed, and then nothing has changed. A method may return a promise.
 */

export type Awaitable<T> = T | Promise<T>;

export type L4Protocol = 'tcp' | 'udp';
export type ServiceType = 'clusterip' | 'nodeport';
export type FlowHash = 'crc32c' | 'keyed';

/** Names a VIP: all-port without protocol and port, else per-port. Always both or neither. */
export interface VipKey {
  readonly prefix: string;
  readonly protocol?: L4Protocol;
  readonly port?: number;
}

/** `lb conf`: what is left out stays as it is. */
export interface LbConf {
  readonly ip4SrcAddress?: string;
  readonly ip6SrcAddress?: string;
  /** Sticky buckets of each worker (four entries each), a power of two. */
  readonly buckets?: number;
  /** Flow timeout, seconds. */
  readonly timeout?: number;
  readonly flowHash?: FlowHash;
}

/** `lb vip`: everything that makes a VIP. */
export interface VipSpec extends VipKey {
  /** Name of the encap: `gre4`, `gre6`, `l3dsr`, `nat4`, `nat6`, or a plugin's. */
  readonly encap: string;
  /** l3dsr: 0 to 63. */
  readonly dscp?: number;
  readonly type: ServiceType;
  /** nat4, nat6: the port that the ASs listen on. */
  readonly targetPort?: number;
  /** Service type nodeport: the port on the node's own addresses. */
  readonly nodePort?: number;
  /** Slots of the new-flow table, a power of two. */
  readonly newLen: number;
  readonly srcIpSticky: boolean;
}

/** `lb as` without del. */
export interface AddServers {
  readonly vip: VipKey;
  readonly addresses: readonly string[];
  /** 0 to 100. Given: adds or updates. Left out: adds with weight 100, and an AS that exists is an error. */
  readonly weight?: number;
  /** Evict the sticky entries of these ASs, so that their flows are chosen anew. */
  readonly flush: boolean;
}

/** `lb_as_set_weight`: the AS must exist. */
export interface SetWeight {
  readonly vip: VipKey;
  readonly address: string;
  readonly weight: number;
  readonly flush: boolean;
}

/** `lb as ... del`. */
export interface DeleteServers {
  readonly vip: VipKey;
  readonly addresses: readonly string[];
  /** End established flows at once; otherwise they stay on the AS until they end. */
  readonly flush: boolean;
}

/** `lb set interface nat4|nat6 in <interface> [del]`. */
export interface NatInterface {
  readonly family: 4 | 6;
  readonly interface: string;
  readonly enable: boolean;
}

/** All settings of `lb conf`. */
export interface LbConfState {
  /** Unset if packets can not be sent from it: a tunnel encap then says so. */
  readonly ip4SrcAddress?: string;
  readonly ip6SrcAddress?: string;
  readonly buckets: number;
  readonly timeout: number;
  readonly flowHash: FlowHash;
}

/** A worker's sticky table. */
export interface StickyUsage {
  readonly worker: number;
  /** Entries whose flow has not timed out. */
  readonly used: number;
  /** Four a bucket. */
  readonly capacity: number;
}

/** A NAT session table, for `show lb`. */
export interface SessionUsage {
  /** E.g. `nat4`. */
  readonly name: string;
  readonly sessions: number;
  readonly capacity: number;
}

export interface LbSummary {
  readonly conf: LbConfState;
  readonly vips: number;
  readonly servers: number;
  readonly sticky: readonly StickyUsage[];
  readonly sessions: readonly SessionUsage[];
}

/** VPP's four counters of a VIP, summed over the workers. */
export interface VipCounters {
  readonly existingSessions: number;
  readonly firstSession: number;
  readonly untracked: number;
  readonly noServer: number;
}

export interface ServerState {
  readonly address: string;
  readonly weight: number;
  /** Slots of the new-flow table that are its own. */
  readonly buckets: number;
  /** Established flows, all workers together. */
  readonly flows: number;
  /** `used`; or `removed`: deleted, but flows are still on it. */
  readonly state: 'used' | 'removed';
  /** The DPO that packets for it take, in words, e.g. `adjacency4 3`. */
  readonly dpo: string;
}

export interface VipState extends VipSpec {
  readonly index: number;
  readonly removed: boolean;
  readonly counters: VipCounters;
  readonly servers: readonly ServerState[];
}

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
}

export interface NodeRuntime {
  readonly worker: number;
  readonly name: string;
  /** `polling` for input nodes, else `active`. */
  readonly state: 'polling' | 'active';
  readonly calls: number;
  readonly packets: number;
  /** Time spent in the node. */
  readonly nanoseconds: number;
}

export interface WorkerRuntime {
  readonly worker: number;
  /** Seconds since the start or the last `clear runtime`. */
  readonly seconds: number;
  readonly breaths: number;
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
