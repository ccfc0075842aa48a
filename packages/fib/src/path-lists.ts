import { addressBytes, type Family, familyOf } from '@lbd/packet';
import { dpo, dpoIndex, dpoType } from './dpo.ts';
import type { KernelNextHop } from './kernel-changes.ts';
import * as L from './layout.ts';
import type { WeightedDpo } from './load-balances.ts';
import type { IpTables } from './tables.ts';

/** The next hops of a route. Routes with the same ones share a list, however many they are. */
export interface PathList {
  readonly key: string;
  readonly family: Family;
  readonly hops: readonly KernelNextHop[];
  /** Largest packet for the routes, bytes; 0 if it is left to the interfaces. */
  readonly mtu: number;
  /** Where it leads now. */
  dpo: number;
  references: number;
  /** Gives back the adjacencies and the load balance that it holds. */
  release: () => void;
}

/** What resolving needs to know of the world. */
export interface PathWorld {
  /** Index of an interface by the kernel's; undefined if it is not run by lbd. */
  readonly interfaceOf: (ifindex: number) => number | undefined;
  readonly lookup: (address: Uint8Array) => number;
  /** An adjacency is wanted whose MAC address is not known. */
  readonly onIncomplete: (interfaceIndex: number, address: Uint8Array) => void;
}

const UNREACHABLE = dpo(L.DPO_DROP, L.DROP_UNREACHABLE);
const FOREIGN = dpo(L.DPO_PUNT, L.PUNT_FOREIGN_INTERFACE);

/** Resolves next hops to DPOs. */
export class PathLists {
  readonly #tables: IpTables;
  readonly #world: PathWorld;
  readonly #lists = new Map<string, PathList>();

  constructor(tables: IpTables, world: PathWorld) {
    this.#tables = tables;
    this.#world = world;
  }

  /** The list of these next hops; each call wants a {@link release}. @throws FibError, AddressError */
  acquire(family: Family, hops: readonly KernelNextHop[], mtu = 0): PathList {
    const used = hops.filter(({ dead }) => !dead);
    const key = `${family} ${mtu} ${used.map(({ ifindex, gateway, weight }) => `${ifindex} ${gateway} ${weight}`).join(', ')}`;
    let list = this.#lists.get(key);
    if (!list) {
      list = { key, family, hops: used, mtu, dpo: UNREACHABLE, references: 0, release: () => {} };
      this.refresh(list);
      this.#lists.set(key, list);
    }
    list.references++;
    return list;
  }

  release(list: PathList): void {
    if (--list.references > 0) return;
    this.#lists.delete(list.key);
    list.release();
  }

  /** Resolves a list anew; true if it leads elsewhere now. */
  refresh(list: PathList): boolean {
    const before = list.dpo;
    const releaseBefore = list.release;
    const held: (() => void)[] = [];
    list.dpo = this.#combine(
      list.hops.flatMap((hop) => this.#resolve(list, hop, held)),
      held,
    );
    list.release = () => {
      for (const release of held) release();
    };
    releaseBefore();
    return list.dpo !== before;
  }

  /** Lists that leave on an interface. */
  over(ifindex: number): PathList[] {
    return [...this.#lists.values()].filter((list) => list.hops.some((hop) => hop.ifindex === ifindex));
  }

  /** Lists that depend on other routes. */
  recursive(): PathList[] {
    return this.over(0);
  }

  #resolve(list: PathList, hop: KernelNextHop, held: (() => void)[]): WeightedDpo[] {
    const { family } = list;
    const { ifindex, gateway, weight } = hop;
    if (ifindex === 0) return gateway === '' ? [] : this.#recurse(list, addressBytes(gateway), weight, held);
    const index = this.#world.interfaceOf(ifindex);
    if (index === undefined) return [{ dpo: FOREIGN, weight }];
    if (gateway !== '') return [{ dpo: this.#adjacency(list, index, addressBytes(gateway), held), weight }];
    return [{ dpo: dpo(family === 4 ? L.DPO_GLEAN4 : L.DPO_GLEAN6, index), weight }];
  }

  #adjacency({ family, mtu }: PathList, index: number, hop: Uint8Array, held: (() => void)[]): number {
    const { adjacencies } = this.#tables;
    const adjacency = adjacencies.acquire(family, index, hop, mtu);
    held.push(() => adjacencies.release(adjacency));
    if (!adjacencies.complete(adjacency)) this.#world.onIncomplete(index, hop);
    return dpo(family === 4 ? L.DPO_ADJACENCY4 : L.DPO_ADJACENCY6, adjacency);
  }

  /** Where a gateway's own route leads. If that is over another gateway, its MTU applies. */
  #recurse(list: PathList, gateway: Uint8Array, weight: number, held: (() => void)[]): WeightedDpo[] {
    const { family } = list;
    const found = this.#world.lookup(gateway);
    const type = dpoType(found);
    if (type === L.DPO_GLEAN4 || type === L.DPO_GLEAN6) {
      return [{ dpo: this.#adjacency(list, dpoIndex(found), gateway, held), weight }];
    }
    // an adjacency writes the EtherType of its family; and what is not a way onwards is no way to a gateway
    if (familyOf(gateway) !== family) return [];
    if (type === L.DPO_ADJACENCY4 || type === L.DPO_ADJACENCY6 || type === L.DPO_LOAD_BALANCE)
      return [{ dpo: found, weight }];
    return type === L.DPO_PUNT ? [{ dpo: FOREIGN, weight }] : [];
  }

  #combine(paths: readonly WeightedDpo[], held: (() => void)[]): number {
    const { loadBalances } = this.#tables;
    const total = new Map<number, number>();
    for (const path of paths) {
      // a load balance inside another would be hashed twice by the same hash: its members come in directly
      const inner =
        dpoType(path.dpo) === L.DPO_LOAD_BALANCE
          ? loadBalances.members(dpoIndex(path.dpo))
          : [{ dpo: path.dpo, weight: 1 }];
      for (const { dpo, weight } of inner) total.set(dpo, (total.get(dpo) ?? 0) + weight * path.weight);
    }
    if (total.size === 0) return UNREACHABLE;
    // in the order of the route, not of indices: what a route spreads does not depend on what was there before it
    const members = [...total].map(([dpo, weight]) => ({ dpo, weight }));
    if (members.length === 1) return members[0]!.dpo;
    const index = loadBalances.acquire(members);
    held.push(() => loadBalances.release(index));
    return dpo(L.DPO_LOAD_BALANCE, index);
  }
}
