import type { Arena, Memory } from '@lbd/memory';
import { addressText, ETHERTYPE_IP4, ETHERTYPE_IP6, type Family, macBytes, macText } from '@lbd/packet';
import { IndexPool } from './index-pool.ts';
import * as L from './layout.ts';
import type { Reclaimer } from './reclaimer.ts';

const CAPACITY = 65536;

/** What adjacencies take over from their interface. */
export interface Link {
  readonly mac: string;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  readonly up: boolean;
}

interface Adjacency {
  readonly key: string;
  readonly interface: number;
  /** Interface and next hop. */
  readonly neighbour: string;
  /** Largest packet, bytes; 0 if it is left to the interface. */
  readonly mtu: number;
  references: number;
}

/**
 * Next hops: one adjacency for each (family of packets, interface, address, MTU that a route says). Its index stays while it is referred to: a
 * neighbour's or an interface's MAC, MTU and state change in place, each by one store, so that nothing that refers to it
 * must change, however many routes.
 */
export class Adjacencies {
  /** Address of adjacency 0. */
  readonly address: number;
  readonly #memory: Memory;
  readonly #reclaimer: Reclaimer;
  readonly #pool = new IndexPool('adjacencies', CAPACITY);
  readonly #byKey = new Map<string, number>();
  readonly #live = new Map<number, Adjacency>();
  readonly #links = new Map<number, Link>();
  /** Adjacencies by interface and next hop. */
  readonly #byNeighbour = new Map<string, Set<number>>();
  /** MAC addresses by interface and next hop. */
  readonly #neighbours = new Map<string, string>();

  constructor(arena: Arena, reclaimer: Reclaimer) {
    this.#memory = arena.memory;
    this.#reclaimer = reclaimer;
    this.address = arena.allocate('adjacencies', CAPACITY << L.ADJACENCY_SHIFT);
  }

  /**
   * The index of an adjacency, made if there is none yet; each call wants a {@link release}.
   * @param mtu largest packet, bytes, should the interface take larger ones; 0 if it is left to the interface
   * @throws FibError
   */
  acquire(family: Family, interfaceIndex: number, hop: Uint8Array, mtu = 0): number {
    const neighbour = `${interfaceIndex} ${addressText(hop)}`;
    const key = `${family} ${mtu} ${neighbour}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      this.#live.get(known)!.references++;
      return known;
    }
    const index = this.#pool.take();
    this.#byKey.set(key, index);
    this.#live.set(index, { key, interface: interfaceIndex, neighbour, mtu, references: 1 });
    this.#byNeighbour.set(neighbour, (this.#byNeighbour.get(neighbour) ?? new Set()).add(index));
    const { u8, u32, view } = this.#memory;
    const at = this.at(index);
    u8.fill(0, at, at + (1 << L.ADJACENCY_SHIFT));
    view.setUint16(at + L.ADJACENCY_TYPE, family === 4 ? ETHERTYPE_IP4 : ETHERTYPE_IP6);
    u32[(at + L.ADJACENCY_INTERFACE) >>> 2] = interfaceIndex;
    u32[(at + L.ADJACENCY_HOP_BYTES) >>> 2] = hop.length;
    u8.set(hop, at + L.ADJACENCY_HOP);
    this.#refresh(index);
    return index;
  }

  /** Gives back what {@link acquire} gave; after the last one, and when no worker can be using it, the index is free. */
  release(index: number): void {
    const adjacency = this.#live.get(index);
    if (!adjacency || --adjacency.references > 0) return;
    this.#live.delete(index);
    this.#byKey.delete(adjacency.key);
    const others = this.#byNeighbour.get(adjacency.neighbour)!;
    others.delete(index);
    if (others.size === 0) this.#byNeighbour.delete(adjacency.neighbour);
    this.#reclaimer.defer(() => this.#pool.give(index));
  }

  /** A neighbour's MAC address became known, changed, or (undefined) is not known any more. */
  setNeighbour(interfaceIndex: number, hop: Uint8Array, mac: string | undefined): void {
    const neighbour = `${interfaceIndex} ${addressText(hop)}`;
    if (mac === undefined) this.#neighbours.delete(neighbour);
    else this.#neighbours.set(neighbour, mac);
    for (const index of this.#byNeighbour.get(neighbour) ?? []) this.#refresh(index);
  }

  /** An interface's MAC, MTU or state changed. */
  setLink(interfaceIndex: number, link: Link): void {
    this.#links.set(interfaceIndex, link);
    for (const [index, adjacency] of this.#live) if (adjacency.interface === interfaceIndex) this.#refresh(index);
  }

  /** True if the next hop's MAC address is known. */
  complete(index: number): boolean {
    return (this.#memory.u32[(this.at(index) + L.ADJACENCY_FLAGS) >>> 2]! & L.ADJACENCY_INCOMPLETE) === 0;
  }

  /** The largest IP packet that the way to the next hop takes, bytes, up or down; 65535 if nothing is known. */
  mtu(index: number): number {
    const adjacency = this.#live.get(index);
    const linkMtu = this.linkMtu(adjacency?.interface ?? -1);
    return adjacency?.mtu ? Math.min(adjacency.mtu, linkMtu) : linkMtu;
  }

  /** The same of an interface. */
  linkMtu(interfaceIndex: number): number {
    return this.#links.get(interfaceIndex)?.mtu ?? 65535;
  }

  /** In words, e.g. `via 10.0.0.1 interface 2 02:00:00:00:00:01`; with the MTU if a route says it. */
  format(index: number, interfaceName: (index: number) => string = (i) => `interface ${i}`): string {
    const { u8, u32 } = this.#memory;
    const at = this.at(index);
    const hop = u8.subarray(at + L.ADJACENCY_HOP, at + L.ADJACENCY_HOP + u32[(at + L.ADJACENCY_HOP_BYTES) >>> 2]!);
    const flags = u32[(at + L.ADJACENCY_FLAGS) >>> 2]!;
    const mac = macText(u8.subarray(at + L.ADJACENCY_DESTINATION, at + L.ADJACENCY_DESTINATION + 6));
    const state = flags & L.ADJACENCY_INCOMPLETE ? 'incomplete' : mac;
    const down = flags & L.ADJACENCY_DOWN ? ' (interface down)' : '';
    const mtu = this.#live.get(index)?.mtu;
    const to = hop.length === 0 ? '' : `via ${addressText(hop)} `;
    return `${to}${interfaceName(u32[(at + L.ADJACENCY_INTERFACE) >>> 2]!)} ${state}${mtu ? ` mtu ${mtu}` : ''}${down}`;
  }

  /** Address of an adjacency. */
  at(index: number): number {
    return this.address + index * (1 << L.ADJACENCY_SHIFT);
  }

  #refresh(index: number): void {
    const { neighbour, interface: interfaceIndex } = this.#live.get(index)!;
    const { u32, u64, u8 } = this.#memory;
    const at = this.at(index);
    const mac = this.#neighbours.get(neighbour);
    const link = this.#links.get(interfaceIndex);
    const flags = (mac === undefined ? L.ADJACENCY_INCOMPLETE : 0) | (link?.up ? 0 : L.ADJACENCY_DOWN);
    // to a state that is not usable first, to a usable one last
    if (flags !== 0) Atomics.store(u32, (at + L.ADJACENCY_MTU) >>> 2, 0);
    const words = new Uint8Array(16);
    if (mac !== undefined) words.set(macBytes(mac), L.ADJACENCY_DESTINATION);
    if (link) words.set(macBytes(link.mac), L.ADJACENCY_SOURCE);
    words.set(u8.subarray(at + L.ADJACENCY_TYPE, at + L.ADJACENCY_TYPE + 2), L.ADJACENCY_TYPE);
    const [destination, source] = new BigUint64Array(words.buffer);
    Atomics.store(u64, (at + L.ADJACENCY_REWRITE) / 8, destination!);
    Atomics.store(u64, (at + L.ADJACENCY_REWRITE) / 8 + 1, source!);
    Atomics.store(u32, (at + L.ADJACENCY_FLAGS) >>> 2, flags);
    if (flags === 0) Atomics.store(u32, (at + L.ADJACENCY_MTU) >>> 2, this.mtu(index));
  }
}
