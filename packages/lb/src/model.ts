/**
 * What the load balancer is told and tells, as plain data with VPP's names in camel case. Addresses are text
 * (`10.0.0.1`, `2001:db8::1`), prefixes text with a length and no bits beyond it (`10.0.0.0/8`), ports numbers in host
 * order, times seconds.
 */

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
  /** Fragment IPv4 packets without DF that are too big for the way to their server; drop them otherwise. */
  readonly fragment?: boolean;
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
  /** Service type nodeport: the port on the node's own addresses; `port` unless given. */
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
  readonly fragment: boolean;
}

/** A worker's sticky table. */
export interface StickyUsage {
  readonly worker: number;
  /** Entries whose flow has not timed out. */
  readonly used: number;
  /** Four a bucket. */
  readonly capacity: number;
}

/** A session table of an encap, for `show lb`. */
export interface SessionUsage {
  /** E.g. `nat4`. */
  readonly name: string;
  readonly sessions: number;
  readonly capacity: number;
}

/** An option of an encap, with the value that it has. */
export interface EncapOptionState {
  readonly name: string;
  readonly value: unknown;
  /** What is allowed, in words; empty if the encap's schema does not say. */
  readonly allowed: string;
  readonly description: string;
}

/** An encap that VIPs may have, for `show lb encaps`. */
export interface EncapState {
  readonly name: string;
  readonly summary: string;
  readonly vipFamilies: readonly (4 | 6)[];
  readonly serverFamily: 4 | 6;
  /** Bytes. */
  readonly overhead: number;
  /** The package that it comes from. */
  readonly from: string;
  readonly options: readonly EncapOptionState[];
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
  /** What its encap has to say of it, a line. */
  readonly note?: string;
  readonly index: number;
  readonly removed: boolean;
  readonly counters: VipCounters;
  /** Established flows, all workers together. */
  readonly flows: number;
  readonly servers: readonly ServerState[];
}
