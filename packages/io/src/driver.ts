import type { NodeDeclaration } from '@lbd/graph';
import type { Memory } from '@lbd/memory';

/** Where a worker's buffers are, for drivers that give frames to the kernel. Plain data. */
export interface BufferPool {
  /** Address of frame 0, page-aligned; the frames of all workers follow each other. */
  readonly frames: number;
  /** Frames of all workers together. */
  readonly count: number;
  /** Frames of each worker; worker w owns [w * perWorker, (w + 1) * perWorker). */
  readonly perWorker: number;
}

/** A packet interface that a driver has opened. Plain data: it is sent to the workers. */
export interface PortInfo {
  /** Name of the driver. */
  readonly driver: string;
  /** Index in the interface table, which is META_RX and META_TX. */
  readonly index: number;
  /** The kernel's name of it (or a name of its own, for pcap). */
  readonly name: string;
  /** The kernel's index of it; 0 if the kernel does not know it. */
  readonly ifindex: number;
  /** How it was opened, for `show interface`: e.g. `native`, `generic`. */
  readonly mode: string;
  /** Workers 0 to `queues` - 1 serve it. If the interface has more receive queues, the driver deals them out. */
  readonly queues: number;
  /** Senders behind it may leave L4 checksums to hardware that is not there: see INTERFACE_PARTIAL_CHECKSUMS. */
  readonly partialChecksums?: boolean;
  /** Driver-specific, structured-cloneable. */
  readonly details: unknown;
}

export interface OpenedPort {
  readonly info: PortInfo;
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly index: number;
  readonly name: string;
  /** Receive queues wanted: at most one for each worker. A driver may open fewer (PortInfo.queues). */
  readonly queues: number;
  /** Driver-specific options of the configuration file; {@link Driver.options} describes them, open() checks them. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** The control plane's side of a driver: one for each driver in use, in the main thread. */
export interface DriverControl {
  /** @throws DriverError, and then nothing is left open */
  open(options: OpenOptions): Promise<OpenedPort>;
  /** Traffic that is lbd's own: drivers that share an interface with the kernel take this and leave the rest. */
  readonly steering?: Steering;
  /** After all ports are closed. */
  close(): Promise<void>;
}

/**
 * What a driver's packet filter sends to lbd. Changes take effect at once. All addresses are text, as in `10.0.0.0/8`. What is
 * added twice must be removed twice; what was not added may be removed. What a driver can not tell apart it leaves to the
 * kernel where the packets may be other people's: lbd must not stand between the host and its own ssh.
 * @throws DriverError or SystemError if there is no room for more; nothing has changed then
 */
export interface Steering {
  /** All packets to this prefix, on every interface. */
  addPrefix(prefix: string): void;
  removePrefix(prefix: string): void;
  /**
   * On interfaces where NAT is on: all packets from this address, protocol (6 TCP, 17 UDP) and source port; all later fragments
   * from the address, since they have no ports; and ICMP errors about packets to this address, protocol and port, which
   * may come from any router, and go to the client.
   */
  addReturn(address: string, protocol: number, port: number): void;
  removeReturn(address: string, protocol: number, port: number): void;
  setNat(interfaceIndex: number, family: 4 | 6, on: boolean): void;
  /**
   * All packets of this protocol (6 TCP, 17 UDP) to this port of any local address of the family, on every interface; and
   * what belongs to them but has no such port: later fragments of these datagrams, and ICMP errors that tell a local
   * address of a packet that it sent from this port.
   */
  addNodePort(family: 4 | 6, protocol: number, port: number): void;
  removeNodePort(family: 4 | 6, protocol: number, port: number): void;
  /** An address of the host itself: where node ports are. */
  addLocalAddress(address: string): void;
  removeLocalAddress(address: string): void;
  /**
   * ICMP errors that tell this address, from which tunnel packets are sent, of a packet that it sent, on every interface: they
   * are about what lbd put into the tunnel. Not those about TCP, UDP and ICMP, which are the host's own.
   */
  addTunnelSource(address: string): void;
  removeTunnelSource(address: string): void;
}

/** A worker's side of a driver. The driver's nodes find it by the memory and the worker index that they run with. */
export interface DriverWorker {
  /** What wakes the worker when it sleeps: file descriptors to poll for input. */
  readonly fds: readonly number[];
  /** Called after each breath: hand what was queued to the kernel (a wake-up where needed). */
  flush(): void;
  /** Called before the worker sleeps; true if there is work after all. */
  pending?(): boolean;
  /** True once a driver whose input ends (a file) has given all of it. */
  finished?(): boolean;
  /** The worker ends: release what worker() took. */
  close?(): void;
}

/** A driver, as a package exports it. */
export interface Driver {
  readonly name: string;
  /** JSON schema of the driver-specific options of a port; those of lbd's own drivers are in the configuration file's, too. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** The driver's nodes: `<name>-input`, `<name>-output` (member of fan-out `output`), `<name>-punt` (of `punt`). */
  nodes(ports: readonly PortInfo[]): readonly NodeDeclaration[];
  control(
    memory: Memory,
    pool: BufferPool,
    allocate: (label: string, bytes: number, align?: number) => number,
  ): DriverControl;
  /** Called in the worker's thread, before its nodes run. */
  worker(ports: readonly PortInfo[], memory: Memory, worker: number): DriverWorker;
}
