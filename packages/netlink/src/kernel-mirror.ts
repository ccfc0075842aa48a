import type { Address } from './address.ts';
import type { Change } from './change.ts';
import * as C from './constants.ts';
import type { Link } from './link.ts';
import type { Neighbour } from './neighbour.ts';
import type { Route } from './route.ts';
import type { RtNetlink } from './rtnetlink.ts';

/** What a mirror holds. */
export interface Mirrored {
  readonly link: Link;
  readonly address: Address;
  readonly route: Route;
  readonly neighbour: Neighbour;
}

/** Something came (`before` is undefined), changed, or went (`now` is undefined). */
export type MirrorChange = {
  [K in keyof Mirrored]: {
    readonly kind: K;
    readonly before: Mirrored[K] | undefined;
    readonly now: Mirrored[K] | undefined;
  };
}[keyof Mirrored];

export interface MirrorOptions {
  /** Called for each change, in order, after the mirror has it; also for all that is there at the start. */
  readonly onChange?: (change: MirrorChange) => void;
  /** Listing failed: the mirror may be out of date. Thrown from the event loop if left out. */
  readonly onError?: (error: Error) => void;
  /** Whether following keeps the process from ending. */
  readonly keepAlive?: boolean;
}

/** What is listed at a time. */
type Part = 'links' | 'addresses' | 'routes4' | 'routes6' | 'neighbours';
const ALL: readonly Part[] = ['links', 'addresses', 'routes4', 'routes6', 'neighbours'];

/**
 * A copy of the kernel's links, addresses, routes and neighbours that follows it.
 *
 * The kernel tells of most changes, not of all: routes that go with an interface or an address go silently, and a
 * message about one of several routes with the same key does not say which applies. In these cases, and when messages
 * were lost, the part in question is listed anew, and what differs is told. Nothing is polled.
 */
export class KernelMirror {
  readonly #netlink: RtNetlink;
  readonly #options: MirrorOptions;
  readonly #tables = {
    link: new Map<string, Link>(),
    address: new Map<string, Address>(),
    route: new Map<string, Route>(),
    neighbour: new Map<string, Neighbour>(),
  };
  /** Keys of routes that the kernel has several of: the map has the first that it does not skip, which applies. */
  #ambiguous = new Set<string>();
  readonly #dirty = new Set<Part>();
  #loading: Promise<void> | undefined;
  /** Changes that came while a list was made: the list may be older or newer. */
  readonly #backlog: Change[] = [];
  #closed = false;

  private constructor(netlink: RtNetlink, options: MirrorOptions) {
    this.#netlink = netlink;
    this.#options = options;
  }

  /** Starts to follow; resolves when everything is listed. It is the netlink's one follower. */
  static async start(netlink: RtNetlink, options: MirrorOptions = {}): Promise<KernelMirror> {
    const mirror = new KernelMirror(netlink, options);
    const follower = { change: (change: Change) => mirror.#told(change), overrun: () => mirror.#reload(...ALL) };
    netlink.follow(follower, options.keepAlive ?? false);
    for (const part of ALL) mirror.#dirty.add(part);
    await mirror.#load();
    return mirror;
  }

  get links(): Link[] {
    return [...this.#tables.link.values()];
  }
  get addresses(): Address[] {
    return [...this.#tables.address.values()];
  }
  /** Of routes with the same destination, table, type of service and metric, the one that the kernel uses. */
  get routes(): Route[] {
    return [...this.#tables.route.values()];
  }
  /** Those that are or were resolved; multicast groups are left out. */
  get neighbours(): Neighbour[] {
    return [...this.#tables.neighbour.values()];
  }
  link(ifindex: number): Link | undefined {
    return this.#tables.link.get(String(ifindex));
  }
  neighbour(ifindex: number, address: string): Neighbour | undefined {
    return this.#tables.neighbour.get(`${ifindex} ${address}`);
  }

  /** Resolves when no list is being made. */
  async settled(): Promise<void> {
    while (this.#loading) await this.#loading;
  }

  /** Ends following, with the netlink socket. */
  close(): void {
    this.#closed = true;
    this.#netlink.close();
  }

  #told(change: Change): void {
    if (this.#loading) this.#backlog.push(change);
    else this.#apply(change);
  }

  #apply(change: Change): void {
    switch (change.kind) {
      case 'link': {
        const before = this.link(change.value.ifindex);
        const { up, carrier } = change.value;
        const silent = change.action === 'delete' || before?.up !== up || before.carrier !== carrier;
        this.#put('link', change.value, change.action === 'new');
        if (silent) this.#reload('routes4', 'routes6');
        break;
      }
      case 'address':
        this.#put('address', change.value, change.action === 'new');
        // Before Linux 6.6 routes whose source address goes go silently. And ways that were dead come back silently with
        // the first IPv4 address of their interface.
        if (change.action === 'delete') this.#reload('routes4', 'routes6');
        else if (change.value.family === 4 && this.#hasDeadWay(change.value.ifindex)) this.#reload('routes4');
        break;
      case 'neighbour':
        this.#put('neighbour', change.value, change.action === 'new' && isTold(change.value));
        break;
      case 'nexthop':
        this.#reload('routes4', 'routes6');
        break;
      case 'route':
        if (this.#isPlain(change)) this.#put('route', change.value, change.action === 'new');
        else this.#reload(change.value.family === 4 ? 'routes4' : 'routes6');
        break;
    }
  }

  /** True if the message alone says what the route is now. */
  #isPlain({ action, value, flags }: Change & { readonly kind: 'route' }): boolean {
    const key = keys.route(value);
    if (this.#ambiguous.has(key) || (value.nexthopId !== 0 && value.nexthops.length === 0)) return false;
    const before = this.#tables.route.get(key);
    const replaces = (flags & C.NLM_F_REPLACE) !== 0;
    // What it replaced over IPv6 may have had another key: it left by another link, or over a gateway.
    if (!before) return action === 'delete' || ((flags & C.NLM_F_APPEND) === 0 && !replaces);
    if (action === 'delete') return same(before.nexthops, value.nexthops);
    if (value.family === 4) return replaces;
    // A change of one of several ways over IPv6 is told as if it were the route.
    return replaces && hasOneGateway(before) && hasOneGateway(value);
  }

  #hasDeadWay(ifindex: number): boolean {
    for (const { nexthops } of this.#tables.route.values()) {
      if (nexthops.some((hop) => hop.dead && hop.ifindex === ifindex)) return true;
    }
    return false;
  }

  #reload(...parts: readonly Part[]): void {
    for (const part of parts) this.#dirty.add(part);
    if (this.#loading || this.#closed) return;
    this.#load().catch((error: Error) => {
      if (this.#closed) return;
      if (!this.#options.onError) throw error;
      this.#options.onError(error);
    });
  }

  #load(): Promise<void> {
    const run = async (): Promise<void> => {
      try {
        while (this.#dirty.size > 0 && !this.#closed) {
          // In the order of ALL: whoever follows knows an interface before its routes.
          const part = ALL.find((candidate) => this.#dirty.has(candidate))!;
          this.#dirty.delete(part);
          try {
            await this.#list(part);
          } catch (error) {
            // It is listed again with whatever is listed next.
            this.#dirty.add(part);
            throw error;
          } finally {
            for (const change of this.#backlog.splice(0)) this.#apply(change);
          }
        }
      } finally {
        this.#loading = undefined;
      }
    };
    this.#loading = run();
    return this.#loading;
  }

  async #list(part: Part): Promise<void> {
    switch (part) {
      case 'links':
        return this.#differ('link', await this.#netlink.links());
      case 'addresses':
        return this.#differ('address', await this.#netlink.addresses());
      case 'neighbours':
        return this.#differ('neighbour', (await this.#netlink.neighbours()).filter(isTold));
      default: {
        const family = part === 'routes4' ? 4 : 6;
        const listed = await this.#netlink.routes(family);
        const first = new Map<string, Route>();
        const ambiguous = new Set([...this.#ambiguous].filter((key) => key.startsWith(`${10 - family} `)));
        for (const route of listed) {
          const key = keys.route(route);
          const earlier = first.get(key);
          if (earlier) ambiguous.add(key);
          if (!earlier || (isSkipped(earlier) && !isSkipped(route))) first.set(key, route);
        }
        this.#ambiguous = ambiguous;
        this.#differ('route', [...first.values()], (route) => route.family === family);
      }
    }
  }

  /** Makes the mirror have what was listed, and nothing else of the values that `of` selects. */
  #differ<K extends keyof Mirrored>(
    kind: K,
    listed: readonly Mirrored[K][],
    of: (value: Mirrored[K]) => boolean = () => true,
  ) {
    const key = keys[kind] as (value: Mirrored[K]) => string;
    const left = new Set(listed.map(key));
    const table = this.#tables[kind] as unknown as Map<string, Mirrored[K]>;
    for (const [name, value] of [...table]) if (!left.has(name) && of(value)) this.#put(kind, value, false);
    for (const value of listed) this.#put(kind, value, true);
  }

  #put<K extends keyof Mirrored>(kind: K, value: Mirrored[K], there: boolean): void {
    const table = this.#tables[kind] as unknown as Map<string, Mirrored[K]>;
    const key = (keys[kind] as (value: Mirrored[K]) => string)(value);
    const before = table.get(key);
    if (there ? same(before, value) : before === undefined) return;
    if (there) table.set(key, value);
    else table.delete(key);
    this.#options.onChange?.({ kind, before, now: there ? value : undefined } as unknown as MirrorChange);
  }
}

/**
 * True for the neighbours that the kernel tells of. It lists others: those not resolved yet, which are as good as not
 * there, and multicast groups, whose MAC address follows from theirs.
 */
function isTold({ state, address }: Neighbour): boolean {
  const multicast = state === 'noarp' && (/^(22[4-9]|23\d)\./.test(address) || /^ff..:/.test(address));
  return state !== 'none' && state !== 'incomplete' && !multicast;
}

const keys = {
  link: ({ ifindex }: Link) => String(ifindex),
  address: ({ ifindex, address, length, peer }: Address) => `${ifindex} ${address}/${length} ${peer}`,
  neighbour: ({ ifindex, address }: Neighbour) => `${ifindex} ${address}`,
  route: ({ family, table, destination, tos, metric, nexthops }: Route) => {
    // Over IPv6, routes of several links may share all else: fe80::/64.
    const [only] = nexthops;
    const device = family === 6 && nexthops.length === 1 && only!.gateway === '' ? ` dev ${only!.ifindex}` : '';
    return `${family} ${table} ${destination} ${tos} ${metric}${device}`;
  },
};

function isSkipped({ nexthops }: Route): boolean {
  return nexthops.length > 0 && nexthops.every(({ skipped }) => skipped);
}

function hasOneGateway({ nexthops }: Route): boolean {
  return nexthops.length === 1 && nexthops[0]!.gateway !== '';
}

/** The values are plain data, made field by field in one order. */
function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
