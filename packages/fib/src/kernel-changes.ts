/**
 * What the route table is told of the kernel: plain objects, a subset of what the mirror of @lbd/netlink tells, so that
 * its changes can be handed over as they are.
 */

/** An interface of the kernel. */
export interface KernelLink {
  readonly ifindex: number;
  readonly name: string;
  /** Empty if it has none. */
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  readonly up: boolean;
  readonly carrier: boolean;
}

/** One way that a route takes. */
export interface KernelNextHop {
  /** Interface that it leaves on; 0 if none is told: that of the route to the gateway. */
  readonly ifindex: number;
  /** Router, of either family (RFC 8950); empty if the destination is on the link. */
  readonly gateway: string;
  /** Share of the flows, 1 to 256. */
  readonly weight: number;
  /** Not to be used. */
  readonly dead: boolean;
  /** A route all of whose ways are skipped is as good as not there; one all of whose ways are dead is unreachable. */
  readonly skipped?: boolean;
}

export interface KernelRoute {
  /** `10.0.0.0/8` */
  readonly destination: string;
  /** 254 is the main table, 255 the local one, which is looked at first. */
  readonly table: number;
  /** `unicast`, `local`, `broadcast`, `anycast`, `multicast`, `blackhole`, `unreachable`, `prohibit`, `throw`; others are ignored. */
  readonly type: string;
  /** The lower of two routes with one destination is used. */
  readonly metric: number;
  /** Largest packet that it is for, bytes; 0, or not told, if it is left to the interface. */
  readonly mtu?: number;
  /** Routes for a type of service other than 0 are ignored. */
  readonly tos: number;
  readonly nexthops: readonly KernelNextHop[];
}

/** An entry of the kernel's neighbour table. */
export interface KernelNeighbour {
  readonly ifindex: number;
  readonly address: string;
  /** Empty if not known. */
  readonly mac: string;
  /** `failed`, `incomplete` and `none` are not usable, whatever the MAC address; all others are. */
  readonly state: string;
}

interface Kinds {
  readonly link: KernelLink;
  readonly route: KernelRoute;
  readonly neighbour: KernelNeighbour;
  /** Ignored: the kernel has a route of type `local` for each. */
  readonly address: unknown;
}

/** Something came (`before` is undefined), changed, or went (`now` is undefined). */
export type KernelChange = {
  [K in keyof Kinds]: {
    readonly kind: K;
    readonly before: Kinds[K] | undefined;
    readonly now: Kinds[K] | undefined;
  };
}[keyof Kinds];

/** The neighbour's MAC address, if packets may be sent to it. */
export function usableMac({ mac, state }: KernelNeighbour): string | undefined {
  return mac !== '' && state !== 'failed' && state !== 'incomplete' && state !== 'none' ? mac : undefined;
}
