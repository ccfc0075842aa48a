import type { KernelChange, RouteTable } from '@lbd/fib';
import type { PortInfo } from '@lbd/io';
import type { Interfaces } from './interfaces.ts';
import type { LocalAddresses } from './local-addresses.ts';

/** What tells of links, addresses, routes and neighbours: the kernel, or the configuration. */
export interface World {
  /** A neighbour's MAC address is wanted. */
  resolve(interfaceIndex: number, address: string): void;
  /** Called about once a second. */
  tick(): void;
  close(): void;
}

/** An address of an interface, as the mirror tells it. */
export interface AddressOf {
  readonly ifindex: number;
  readonly address: string;
  readonly length: number;
}

/** What the kernel says of an interface; `gone`: deleted, or in another network namespace. */
export type LinkState = 'up' | 'down' | 'gone';

/** Interfaces without the kernel have numbers of their own, where the kernel has none. */
const OWN_IFINDEX = 1 << 30;

export function ifindexOf(port: PortInfo): number {
  return port.ifindex || OWN_IFINDEX + port.index;
}

/** Takes over changes of the world into the interface table and the routes. Changes of one turn count as one. */
export class WorldSink {
  readonly #interfaces: Interfaces;
  readonly #routes: RouteTable;
  readonly #locals: LocalAddresses;
  /** Index of an interface by the kernel's. */
  readonly #index: ReadonlyMap<number, number>;
  readonly #onLink: (name: string, state: LinkState) => void;
  readonly #onError: (error: unknown) => void;
  readonly #states = new Map<number, LinkState>();
  #waiting: KernelChange[] = [];

  /**
   * @param onError some routes or neighbours could not be taken over, or have no room; the others were
   * @param onLink told when an interface of lbd goes down, comes up or is deleted, and at first if it is not up
   */
  constructor(
    ports: readonly PortInfo[],
    interfaces: Interfaces,
    routes: RouteTable,
    locals: LocalAddresses,
    onError: (error: unknown) => void,
    onLink: (name: string, state: LinkState) => void = () => {},
  ) {
    this.#interfaces = interfaces;
    this.#routes = routes;
    this.#locals = locals;
    this.#onError = onError;
    this.#onLink = onLink;
    this.#index = new Map(ports.map((port) => [ifindexOf(port), port.index]));
    for (const [ifindex, index] of this.#index) routes.attach(ifindex, index);
  }

  change(change: KernelChange): void {
    if (change.kind === 'link') this.#link(change.now ?? change.before!, change.now !== undefined);
    if (change.kind === 'address') {
      this.#address(change.before as AddressOf | undefined, false);
      this.#address(change.now as AddressOf | undefined, true);
    }
    if (change.kind === 'route') this.#locals.routeChanged(change.before, change.now);
    if (this.#waiting.length === 0) queueMicrotask(() => this.flush());
    this.#waiting.push(change);
  }

  /** Applies what waits. */
  flush(): void {
    const changes = this.#waiting;
    this.#waiting = [];
    if (changes.length === 0) return;
    try {
      this.#routes.applyAll(changes);
    } catch (error) {
      this.#onError(error);
    }
  }

  #link(link: { ifindex: number; mac: string; mtu: number; up: boolean; carrier: boolean }, there: boolean): void {
    const index = this.#index.get(link.ifindex);
    if (index === undefined) return;
    const { mac, mtu, up, carrier } = link;
    const state = !there ? 'gone' : up && carrier ? 'up' : 'down';
    this.#interfaces.table.update(index, { mac: mac || '00:00:00:00:00:00', mtu, up: state === 'up' });
    const before = this.#states.get(index) ?? 'up';
    this.#states.set(index, state);
    if (state !== before) this.#onLink(this.#interfaces.nameOf(index), state);
  }

  #address(address: AddressOf | undefined, there: boolean): void {
    const index = address && this.#index.get(address.ifindex);
    if (index !== undefined) this.#interfaces.setAddress(index, `${address!.address}/${address!.length}`, there);
  }
}
