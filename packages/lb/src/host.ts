import type { Arena, Epochs } from '@lbd/memory';

/** Work that only a worker may do, since it changes what the worker alone writes. Plain data. */
export type LbTask =
  /** Evict the sticky entries of these servers, or of this VIP, or all. */
  | { readonly kind: 'lb-flush'; readonly servers?: readonly number[]; readonly vip?: number }
  /** Move to new sticky tables (address by worker), live flows included. */
  | { readonly kind: 'lb-sticky'; readonly tables: readonly number[]; readonly now: number };

/** What the load balancer needs of the rest of the dataplane. */
export interface LbHost {
  readonly arena: Arena;
  readonly epochs: Epochs;
  /**
   * Calls back with the DPO for packets to an address, and with the largest IP packet (bytes) that the way there takes, now
   * and whenever either changes, until stopped.
   */
  track(address: string, changed: (dpo: number, mtu: number) => void): { stop(): void };
  /** Sends the packets to a prefix to a DPO, before any route of the kernel to the same prefix. */
  addPrefix(prefix: string, dpo: number): void;
  removePrefix(prefix: string): void;
  /** Seconds on the workers' clock, in which expiries are counted. */
  now(): number;
  /** Packets from a server's address, protocol and port are return traffic of NAT from now on; called once a server. */
  addReturn(address: string, protocol: number, port: number): void;
  removeReturn(address: string, protocol: number, port: number): void;
  /** Packets to this port of the host's own addresses are for lbd. Protocol: 6 TCP, 17 UDP. */
  addNodePort(family: 4 | 6, protocol: number, port: number): void;
  removeNodePort(family: 4 | 6, protocol: number, port: number): void;
  /** Tunnel packets are sent from this address: ICMP errors that come back to it are for lbd. */
  addTunnelSource(address: string): void;
  removeTunnelSource(address: string): void;
  /** DPO for packets to an address now. */
  lookup(address: string): number;
  /** A DPO in words. */
  describe(dpo: number): string;
  /** DPO types of the choosing nodes: their places in the fan-out `dpo`. */
  readonly dpoTypes: Readonly<Record<'lb4' | 'lb4-port' | 'lb6' | 'lb6-port', number>>;
  /** Place of an encap's node in the fan-out `encap`. */
  encapPlace(name: string): number;
  /** Runs a task on every worker between vectors; resolves when all have done it. */
  onWorkers(task: LbTask): Promise<void>;
}
