import type { PortInfo } from '@lbd/io';
import { KernelMirror, type Neighbour, RtNetlink } from '@lbd/netlink';
import type { World, WorldSink } from './world.ts';

/** Seconds between two looks for neighbours to confirm. */
const CONFIRM_SECONDS = 10;
/** Neighbours confirmed at a time. */
const CONFIRM_MOST = 256;

/** States of neighbours that need no resolving. */
const SURE: ReadonlySet<string> = new Set(['permanent', 'noarp', 'reachable', 'delay', 'probe']);

/**
 * The kernel's links, addresses, routes and neighbours, followed as they change. What lbd sends does not go through the
 * kernel, so it does not see that neighbours are in use: lbd asks it to confirm those that have become stale.
 */
export class KernelWorld implements World {
  readonly #netlink: RtNetlink;
  readonly #mirror: KernelMirror;
  readonly #ports: readonly PortInfo[];
  readonly #onError: (error: Error) => void;
  #seconds = 0;

  private constructor(
    netlink: RtNetlink,
    mirror: KernelMirror,
    ports: readonly PortInfo[],
    onError: (error: Error) => void,
  ) {
    this.#netlink = netlink;
    this.#mirror = mirror;
    this.#ports = ports;
    this.#onError = onError;
  }

  static async start(
    ports: readonly PortInfo[],
    sink: WorldSink,
    onError: (error: Error) => void,
  ): Promise<KernelWorld> {
    const netlink = RtNetlink.open();
    try {
      const mirror = await KernelMirror.start(netlink, { onChange: (change) => sink.change(change), onError });
      sink.flush();
      return new KernelWorld(netlink, mirror, ports, onError);
    } catch (error) {
      netlink.close();
      throw error;
    }
  }

  resolve(interfaceIndex: number, address: string): void {
    const ifindex = this.#ports[interfaceIndex]?.ifindex ?? 0;
    // Asked for one that it knows for good, the kernel would forget it and look for it: the gateway of a route that came before
    // its neighbour is such a one.
    const known = this.#mirror.neighbour(ifindex, address);
    if (ifindex !== 0 && !SURE.has(known?.state ?? '')) this.#ask(ifindex, address);
  }

  tick(): void {
    if (++this.#seconds % CONFIRM_SECONDS !== 0) return;
    const ours = new Set(this.#ports.map(({ ifindex }) => ifindex));
    const stale = ({ state, ifindex }: Neighbour) => state === 'stale' && ours.has(ifindex);
    for (const { ifindex, address } of this.#mirror.neighbours.filter(stale).slice(0, CONFIRM_MOST)) {
      this.#ask(ifindex, address);
    }
  }

  close(): void {
    this.#mirror.close();
  }

  #ask(ifindex: number, address: string): void {
    this.#netlink.resolve(ifindex, address).catch((error: Error & { code?: string }) => {
      if (error.code !== 'LBD_NETLINK_CLOSED') this.#onError(error);
    });
  }
}
