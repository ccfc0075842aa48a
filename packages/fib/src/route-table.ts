import {
  addressBytes,
  addressText,
  contains,
  type Family,
  familyOf,
  ip4Number,
  type Prefix,
  parsePrefix,
  prefixOf,
  prefixText,
} from '@lbd/packet';
import { checkDpo, DpoFormats, dpo, dpoIndex, dpoType, NO_ROUTE } from './dpo.ts';
import { FibError } from './errors.ts';
import { type Follower, Followers } from './followers.ts';
import type { KernelChange, KernelLink, KernelNeighbour, KernelRoute } from './kernel-changes.ts';
import { usableMac } from './kernel-changes.ts';
import * as L from './layout.ts';
import { type PathList, PathLists } from './path-lists.ts';
import { Rib, type RibEntry, type Source } from './rib.ts';
import type { IpTables } from './tables.ts';

export interface RouteTableOptions {
  /** A neighbour's MAC address is wanted: have the kernel resolve it. Called in the middle of a change: don't change routes. */
  readonly onResolve?: (interfaceIndex: number, address: string) => void;
  /** For `entries()` and `formatDpo`. */
  readonly interfaceName?: (interfaceIndex: number) => string;
}

/** A route as `show ip fib` shows it. */
export interface RouteEntry {
  readonly prefix: string;
  readonly dpo: number;
  /** Who says so. */
  readonly source: Source['kind'];
  /** Where packets go, one line for each path. */
  readonly paths: readonly string[];
}

/** Follows where an address leads; see {@link RouteTable.track}. */
export interface Tracker {
  readonly address: string;
  readonly dpo: number;
  stop(): void;
}

/** There may be a million: no closure, and nothing twice. */
class LiveTracker implements Tracker {
  readonly bytes: Uint8Array;
  readonly onChange: (dpo: number, mtu: number) => void;
  dpo: number;
  mtu: number;
  readonly #trackers: Followers<LiveTracker>;

  constructor(
    bytes: Uint8Array,
    onChange: (dpo: number, mtu: number) => void,
    way: { readonly dpo: number; readonly mtu: number },
    trackers: Followers<LiveTracker>,
  ) {
    this.bytes = bytes;
    this.onChange = onChange;
    this.dpo = way.dpo;
    this.mtu = way.mtu;
    this.#trackers = trackers;
    trackers.add(this);
  }

  get address(): string {
    return addressText(this.bytes);
  }

  stop(): void {
    this.#trackers.delete(this);
  }
}

interface NeighbourState {
  readonly ifindex: number;
  readonly bytes: Uint8Array;
  readonly mac: string;
}

/** With more changed prefixes than this, everything that follows routes is looked up again. */
const MANY = 64;
/** No IP packet is longer than this. */
const MOST_BYTES = 65535;
/** Rounds until routes over routes must have settled; more is a loop. */
const MAX_ROUNDS = 8;

/** What no route says otherwise: RFC 1122 (3.2.1.3), RFC 1112, RFC 4291 (2.5.2, 2.5.3, 2.5.6, 2.7). */
const BUILT_IN: readonly [string, number][] = [
  ['0.0.0.0/8', dpo(L.DPO_DROP, L.DROP_MARTIAN)],
  ['127.0.0.0/8', dpo(L.DPO_DROP, L.DROP_MARTIAN)],
  ['224.0.0.0/4', dpo(L.DPO_PUNT, L.PUNT_MULTICAST)],
  ['255.255.255.255/32', dpo(L.DPO_PUNT, L.PUNT_MULTICAST)],
  ['::/128', dpo(L.DPO_DROP, L.DROP_MARTIAN)],
  ['::1/128', dpo(L.DPO_DROP, L.DROP_MARTIAN)],
  ['fe80::/10', dpo(L.DPO_PUNT, L.PUNT_LINK_LOCAL)],
  ['ff00::/8', dpo(L.DPO_PUNT, L.PUNT_MULTICAST)],
];

/**
 * The control plane of the forwarding tables: takes over the kernel's routes and neighbours as they change, and special
 * prefixes of others (VIPs), and keeps the FIBs right. Everything is synchronous; workers go on meanwhile, and see each
 * change by single stores.
 */
export class RouteTable {
  readonly formats: DpoFormats;
  readonly #tables: IpTables;
  readonly #options: RouteTableOptions;
  readonly #ribs = { 4: new Rib(4), 6: new Rib(6) } as const;
  readonly #paths: PathLists;
  /** Index of an interface, by the kernel's. */
  readonly #interfaces = new Map<number, number>();
  readonly #links = new Map<number, KernelLink>();
  readonly #neighbours = new Map<string, NeighbourState>();
  readonly #neighbourAddresses = new Followers<NeighbourState>();
  readonly #trackers = new Followers<LiveTracker>();
  readonly #builtIn: readonly Prefix[];
  #dirty = new Set<RibEntry>();
  /** Entries that the FIB had no room for: tried again with each change. */
  readonly #homeless = { 4: new Set<RibEntry>(), 6: new Set<RibEntry>() } as const;

  constructor(tables: IpTables, options: RouteTableOptions = {}) {
    this.#tables = tables;
    this.#options = options;
    this.#paths = new PathLists(tables, {
      interfaceOf: (ifindex) => this.#interfaces.get(ifindex),
      lookup: (address) => this.lookup(address),
      onIncomplete: (index, address) => options.onResolve?.(index, addressText(address)),
    });
    const name = options.interfaceName ?? ((index) => `interface ${index}`);
    this.formats = new DpoFormats()
      .set(L.DPO_RECEIVE, (index) => `receive ${name(index)}`)
      .set(L.DPO_GLEAN4, (index) => `glean ${name(index)}`)
      .set(L.DPO_GLEAN6, (index) => `glean ${name(index)}`)
      .set(L.DPO_ADJACENCY4, (index) => tables.adjacencies.format(index, name))
      .set(L.DPO_ADJACENCY6, (index) => tables.adjacencies.format(index, name))
      .set(L.DPO_LOAD_BALANCE, (index) => `load-balance ${this.#members(index).join('; ')}`);
    this.#builtIn = BUILT_IN.map(([text]) => parsePrefix(text));
    for (const [text, word] of BUILT_IN)
      this.#put(parsePrefix(text), { kind: 'built-in', id: '', metric: 0, via: word });
    raise(this.#settle());
  }

  /**
   * Takes over changes of the kernel. Those of one call count as one. Where one can't be taken over, or there is no room for it,
   * the others are nevertheless; what there was no room for is tried again with each change.
   * @throws FibError, AddressError, OutOfMemoryError
   */
  apply(...changes: readonly KernelChange[]): void {
    this.applyAll(changes);
  }

  /** The same for any number of changes: a call takes no more than some ten thousand arguments. */
  applyAll(changes: Iterable<KernelChange>): void {
    let failed: Failed;
    for (const change of changes) failed = attempt(() => this.#apply(change)) ?? failed;
    raise(this.#settle() ?? failed);
  }

  /** An interface of the kernel is run by lbd: routes over it are followed, where others punt. @param index lbd's own */
  attach(ifindex: number, index: number): void {
    this.#interfaces.set(ifindex, index);
    this.#setLink(ifindex);
    for (const neighbour of this.#neighbours.values()) {
      if (neighbour.ifindex === ifindex) this.#tables.adjacencies.setNeighbour(index, neighbour.bytes, neighbour.mac);
    }
    this.#interfaceChanged(ifindex);
  }

  /** An interface is not run by lbd any more. */
  detach(ifindex: number): void {
    const index = this.#interfaces.get(ifindex);
    if (index === undefined) return;
    this.#interfaces.delete(ifindex);
    for (const neighbour of this.#neighbours.values()) {
      if (neighbour.ifindex === ifindex) this.#tables.adjacencies.setNeighbour(index, neighbour.bytes, undefined);
    }
    this.#interfaceChanged(ifindex);
  }

  /**
   * Makes a prefix lead to a DPO, whatever the kernel says about exactly this prefix; longer routes inside it still apply.
   * @throws FibError (LBD_FIB_EXISTS) if there is one already, AddressError, OutOfMemoryError
   */
  addSpecial(prefix: string, word: number): void {
    const parsed = parsePrefix(prefix);
    if (this.#ribs[parsed.family].get(parsed)?.sources.some(({ kind }) => kind === 'special' || kind === 'built-in')) {
      throw new FibError('LBD_FIB_EXISTS', `${prefixText(parsed)} is taken already`);
    }
    this.#put(parsed, { kind: 'special', id: '', metric: 0, via: checkDpo(word) });
    const failed = this.#settle();
    const entry = this.#ribs[parsed.family].get(parsed)!;
    if (!failed || !this.#homeless[parsed.family].has(entry)) return;
    this.#remove(parsed, 'special', '');
    this.#settle();
    raise(failed);
  }

  /** What the kernel says about the prefix applies again. @throws FibError (LBD_FIB_UNKNOWN), AddressError */
  removeSpecial(prefix: string): void {
    const parsed = parsePrefix(prefix);
    if (!this.#remove(parsed, 'special', '')) {
      throw new FibError('LBD_FIB_UNKNOWN', `${prefixText(parsed)} is not a special prefix`);
    }
    raise(this.#settle());
  }

  /**
   * Stacks something on the route to an address: calls back at once with the DPO that leads there and the largest IP packet
   * (bytes) that the way takes, and again, before the change's call returns, whenever one is another. A neighbour's new MAC address changes the adjacency in place and
   * calls nobody. The old DPO may be used until every worker has passed a quiescent point.
   * @throws AddressError
   */
  track(address: string, onChange: (dpo: number, mtu: number) => void): Tracker {
    const bytes = addressBytes(address);
    const word = this.lookup(bytes);
    const tracker = new LiveTracker(bytes, onChange, { dpo: word, mtu: this.#mtuTo(bytes, word) }, this.#trackers);
    this.#wantResolved(tracker);
    onChange(tracker.dpo, tracker.mtu);
    return tracker;
  }

  /** The DPO for an address of 4 or 16 bytes. */
  lookup(address: Uint8Array): number {
    return address.length === 4 ? this.#tables.fib4.lookup(ip4Number(address)) : this.#tables.fib6.lookup(address);
  }

  /** All prefixes of a family, in the order of their addresses. */
  entries(family: Family): RouteEntry[] {
    return [...this.#ribs[family].values()]
      .filter(({ sources }) => sources.length > 0)
      .sort((a, b) => Buffer.compare(a.prefix.bytes, b.prefix.bytes) || a.prefix.length - b.prefix.length)
      .map((entry) => {
        const word = dpoOf(entry.sources[0]!);
        const paths = dpoType(word) === L.DPO_LOAD_BALANCE ? this.#members(dpoIndex(word)) : [this.formatDpo(word)];
        return { prefix: prefixText(entry.prefix), dpo: word, source: entry.sources[0]!.kind, paths };
      });
  }

  /** A DPO in words; packages add words for their types to `formats`. */
  formatDpo(word: number): string {
    return this.formats.format(word);
  }

  #members(index: number): string[] {
    return this.#tables.loadBalances
      .members(index)
      .map(({ dpo, weight }) => `${this.formatDpo(dpo)}${weight === 1 ? '' : ` weight ${weight}`}`);
  }

  // ---- The kernel's changes ------------------------------------------------------------------------------------------

  #apply(change: KernelChange): void {
    switch (change.kind) {
      case 'route':
        this.#routeChanged(change.before, change.now);
        break;
      case 'neighbour':
        this.#neighbourChanged((change.now ?? change.before)!, change.now && usableMac(change.now));
        break;
      case 'link':
        this.#linkChanged((change.now ?? change.before)!.ifindex, change.now);
        break;
    }
  }

  #routeChanged(before: KernelRoute | undefined, now: KernelRoute | undefined): void {
    const next = now && this.#sourceOf(now);
    if (next) this.#put(next.prefix, next.source);
    if (!before || (now && sameRoute(before, now) && next)) return;
    const prefix = parsePrefix(before.destination);
    for (const kind of ['local', 'kernel'] as const) this.#remove(prefix, kind, idOf(before));
  }

  /** What a route says; undefined if it is none that we follow. */
  #sourceOf(route: KernelRoute): { prefix: Prefix; source: Source } | undefined {
    const prefix = parsePrefix(route.destination);
    // these are not for routes to change: there is a link-local prefix on each link, and no forwarding to any
    if (route.tos !== 0 || this.#builtIn.some((own) => own.length <= prefix.length && contains(own, prefix.bytes))) {
      return undefined;
    }
    const [only, ...others] = route.nexthops;
    const kind: Source['kind'] = route.table === 255 ? 'local' : 'kernel';
    const common = { kind, id: idOf(route), metric: route.metric };
    switch (route.type) {
      case 'unicast': {
        if (only && route.nexthops.every(({ skipped }) => skipped)) return undefined;
        const via = this.#paths.acquire(prefix.family, route.nexthops, route.mtu);
        const source = { ...common, via, ...(route.mtu && { mtu: route.mtu }) };
        const connected = only && others.length === 0 && only.gateway === '' && !only.dead;
        return { prefix, source: connected ? { ...source, connected: only.ifindex } : source };
      }
      case 'local':
      case 'anycast': {
        const index = (only && this.#interfaces.get(only.ifindex)) ?? 0;
        return { prefix, source: { ...common, via: dpo(L.DPO_RECEIVE, index) } };
      }
      case 'broadcast':
      case 'multicast':
        return { prefix, source: { ...common, via: dpo(L.DPO_PUNT, L.PUNT_MULTICAST) } };
      case 'blackhole':
        return { prefix, source: { ...common, via: dpo(L.DPO_DROP, L.DROP_BLACKHOLE) } };
      case 'unreachable':
      case 'prohibit':
        return { prefix, source: { ...common, via: dpo(L.DPO_DROP, L.DROP_UNREACHABLE) } };
      case 'throw':
        // the lookup ends without a route in the main table; in the local one it goes on in the main one
        return kind === 'local' ? undefined : { prefix, source: { ...common, via: NO_ROUTE } };
      default:
        return undefined;
    }
  }

  #neighbourChanged({ ifindex, address }: KernelNeighbour, mac: string | undefined): void {
    const bytes = addressBytes(address);
    const key = `${ifindex} ${addressText(bytes)}`;
    const index = this.#interfaces.get(ifindex);
    if (index !== undefined) this.#tables.adjacencies.setNeighbour(index, bytes, mac);
    if (mac !== undefined) {
      const neighbour = { ifindex, bytes, mac };
      this.#forgetNeighbour(key);
      this.#neighbours.set(key, neighbour);
      this.#neighbourAddresses.add(neighbour);
      this.#judge(neighbour);
    } else if (this.#forgetNeighbour(key)) this.#remove(hostPrefix(bytes), 'neighbour', String(ifindex));
  }

  #forgetNeighbour(key: string): boolean {
    const known = this.#neighbours.get(key);
    if (known) this.#neighbourAddresses.delete(known);
    return this.#neighbours.delete(key);
  }

  #linkChanged(ifindex: number, now: KernelLink | undefined): void {
    if (now) this.#links.set(ifindex, now);
    else this.#links.delete(ifindex);
    this.#setLink(ifindex);
  }

  #setLink(ifindex: number): void {
    const index = this.#interfaces.get(ifindex);
    const link = this.#links.get(ifindex);
    if (index === undefined) return;
    const up = link?.up === true && link.carrier;
    this.#tables.adjacencies.setLink(index, { mac: link?.mac || '00:00:00:00:00:00', mtu: link?.mtu ?? 0, up });
    for (const tracker of this.#trackers.all()) this.#follow(tracker);
  }

  // ---- Sources -------------------------------------------------------------------------------------------------------

  #put(prefix: Prefix, source: Source): void {
    const { entry, replaced } = this.#ribs[prefix.family].put(prefix, source);
    if (replaced) this.#drop(replaced);
    this.#dirty.add(entry);
  }

  #remove(prefix: Prefix, kind: Source['kind'], id: string): boolean {
    const removed = this.#ribs[prefix.family].remove(prefix, kind, id);
    if (!removed) return false;
    this.#drop(removed.replaced);
    this.#dirty.add(removed.entry);
    return true;
  }

  /** Gives back what a source that is gone held. */
  #drop(source: Source): void {
    if (typeof source.via !== 'number') this.#paths.release(source.via);
    else if (source.kind === 'neighbour') this.#tables.adjacencies.release(dpoIndex(source.via));
  }

  /** A neighbour is a route to its address if the address is on its link by what else is known. */
  #judge({ ifindex, bytes }: NeighbourState): void {
    const rib = this.#ribs[familyOf(bytes)];
    const prefix = hostPrefix(bytes);
    const id = String(ifindex);
    const there = rib.get(prefix)?.sources.find((source) => source.kind === 'neighbour' && source.id === id);
    const index = this.#interfaces.get(ifindex);
    const covering = rib.covering(bytes);
    if (index !== undefined && covering?.connected === ifindex) {
      const { mtu } = covering;
      if (there && there.mtu === mtu) return;
      const type = bytes.length === 4 ? L.DPO_ADJACENCY4 : L.DPO_ADJACENCY6;
      const via = dpo(type, this.#tables.adjacencies.acquire(familyOf(bytes), index, bytes, mtu));
      this.#put(prefix, { kind: 'neighbour', id, metric: 0, via, ...(mtu && { mtu }) });
    } else if (there) this.#remove(prefix, 'neighbour', id);
  }

  #interfaceChanged(ifindex: number): void {
    for (const list of this.#paths.over(ifindex)) this.#refresh(list);
    for (const neighbour of this.#neighbours.values()) {
      if (neighbour.ifindex !== ifindex) continue;
      this.#remove(hostPrefix(neighbour.bytes), 'neighbour', String(ifindex));
      this.#judge(neighbour);
    }
    raise(this.#settle());
  }

  #refresh(list: PathList): boolean {
    if (!this.#paths.refresh(list)) return false;
    for (const entry of this.#ribs[list.family].values()) {
      if (entry.sources.some(({ via }) => via === list)) this.#dirty.add(entry);
    }
    return true;
  }

  // ---- From sources to the FIB ---------------------------------------------------------------------------------------

  /** Brings the FIB up to date with the sources, then what depends on it. Returns why it could not be brought there whole. */
  #settle(): Failed {
    const changed: Prefix[] = [];
    let failed: Failed;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const installed: Prefix[] = [];
      failed = this.#install(installed) ?? failed;
      for (const prefix of installed) changed.push(prefix);
      if (installed.length === 0) break;
      for (const neighbour of affected(this.#neighbourAddresses, installed)) this.#judge(neighbour);
      for (const list of this.#paths.recursive()) this.#refresh(list);
    }
    this.#house(changed);
    for (const tracker of affected(this.#trackers, changed)) this.#follow(tracker);
    return failed;
  }

  /** Publishes what there was no room for, as far as there is now; adds the prefixes to `changed`. */
  #house(changed: Prefix[]): void {
    for (const family of [4, 6] as const) {
      for (const entry of this.#homeless[family]) {
        if (this.#update(entry, changed)) break;
        this.#homeless[family].delete(entry);
      }
    }
  }

  /** Tells a tracker if its way is another one, or takes packets of another size. */
  #follow(tracker: LiveTracker): void {
    const word = this.lookup(tracker.bytes);
    const mtu = this.#mtuTo(tracker.bytes, word);
    if ((word === tracker.dpo && mtu === tracker.mtu) || !this.#trackers.has(tracker)) return;
    tracker.dpo = word;
    tracker.mtu = mtu;
    this.#wantResolved(tracker);
    tracker.onChange(word, mtu);
  }

  /** The largest IP packet that the way to an address takes, bytes. @param word DPO for the address */
  #mtuTo(bytes: Uint8Array, word: number): number {
    // an adjacency knows the MTU of its route; that of a neighbour that is not resolved is to be looked up
    const type = dpoType(word);
    const unresolved = type === L.DPO_GLEAN4 || type === L.DPO_GLEAN6;
    const mtu = unresolved ? this.#ribs[familyOf(bytes)].covering(bytes)?.mtu : undefined;
    return Math.min(mtu ?? MOST_BYTES, this.#mtuOf(word));
  }

  /** The largest IP packet that a DPO takes, bytes; of a load balance, every member of it. */
  #mtuOf(word: number): number {
    const { adjacencies, loadBalances } = this.#tables;
    switch (dpoType(word)) {
      case L.DPO_ADJACENCY4:
      case L.DPO_ADJACENCY6:
        return adjacencies.mtu(dpoIndex(word));
      case L.DPO_GLEAN4:
      case L.DPO_GLEAN6:
        return adjacencies.linkMtu(dpoIndex(word));
      case L.DPO_LOAD_BALANCE:
        return Math.min(...loadBalances.members(dpoIndex(word)).map(({ dpo: member }) => this.#mtuOf(member)));
      default:
        return MOST_BYTES;
    }
  }

  /** Publishes what the dirty entries say; adds the prefixes that lead elsewhere now to `changed`. */
  #install(changed: Prefix[]): Failed {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    let failed: Failed;
    for (const entry of dirty) {
      const homeless = this.#homeless[entry.prefix.family];
      homeless.delete(entry);
      if (entry.sources.length === 0) this.#ribs[entry.prefix.family].forget(entry);
      const why = this.#update(entry, changed);
      if (why) homeless.add(entry);
      failed ??= why;
    }
    return failed;
  }

  /** Publishes what an entry says. If there is no room, nothing is there in its place. */
  #update(entry: RibEntry, changed: Prefix[]): Failed {
    const [best] = entry.sources;
    const word = best && dpoOf(best);
    if (word === entry.installed && best?.mtu === entry.mtu) return undefined;
    let failed: Failed;
    if (word !== entry.installed) {
      failed = attempt(() => this.#publish(entry.prefix, word));
      // what it led to may be gone
      if (failed && entry.installed !== undefined) this.#publish(entry.prefix, undefined);
      else if (failed) return failed;
    }
    entry.installed = failed ? undefined : word;
    entry.mtu = failed ? undefined : best?.mtu;
    changed.push(entry.prefix);
    return failed;
  }

  #publish({ family, bytes, length }: Prefix, word: number | undefined): void {
    const { fib4, fib6 } = this.#tables;
    if (family === 4) {
      if (word === undefined) fib4.remove(ip4Number(bytes), length);
      else fib4.add(ip4Number(bytes), length, word);
    } else if (word === undefined) fib6.remove(bytes, length);
    else fib6.add(bytes, length, word);
  }

  /** What is tracked is about to be used: its MAC address should be known before the first packet. */
  #wantResolved({ dpo: word, bytes }: LiveTracker): void {
    const type = dpoType(word);
    if (type === L.DPO_GLEAN4 || type === L.DPO_GLEAN6) this.#options.onResolve?.(dpoIndex(word), addressText(bytes));
  }
}

/** An error to be thrown when all else is done. */
type Failed = { readonly error: unknown } | undefined;

function attempt(what: () => void): Failed {
  try {
    what();
    return undefined;
  } catch (error) {
    return { error };
  }
}

function raise(failed: Failed): void {
  if (failed) throw failed.error;
}

/** Who follows an address in one of the changed prefixes; everyone if that is as quickly said. */
function affected<T extends Follower>(followers: Followers<T>, changed: readonly Prefix[]): Iterable<T> {
  if (changed.length > MANY) return followers.all();
  const [only] = changed;
  if (only && changed.length === 1) return followers.within(only);
  return new Set(changed.flatMap((prefix) => followers.within(prefix)));
}

function dpoOf({ via }: Source): number {
  return typeof via === 'number' ? via : via.dpo;
}

function hostPrefix(bytes: Uint8Array): Prefix {
  return prefixOf(bytes, bytes.length * 8);
}

/** Tells apart routes for one prefix. Over IPv6, routes over several links may share all else. */
function idOf({ table, metric, tos, nexthops }: KernelRoute): string {
  const [only, ...others] = nexthops;
  const device = only && others.length === 0 && only.gateway === '' ? only.ifindex : '';
  return `${table} ${metric} ${tos} ${device}`;
}

function sameRoute(a: KernelRoute, b: KernelRoute): boolean {
  return a.destination === b.destination && idOf(a) === idOf(b) && (a.table === 255) === (b.table === 255);
}
