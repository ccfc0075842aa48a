import { maglev } from '@lbd/maglev';
import { addressBytes } from '@lbd/packet';

/** What a balancer must do, said as simply as possible: maps and lists, nothing shared with lbd but the Maglev reference. */
export class Model {
  /** Seconds. */
  now = 0;
  timeout = 40;
  readonly vips = new Map<string, ModelVip>();

  constructor(readonly newLen: number) {}

  /** @throws Error as the balancer would */
  addVip(name: string): void {
    if (this.vips.has(name)) throw new Error('exists already');
    this.vips.set(name, { servers: new Map(), flows: new Map(), counters: { existing: 0, first: 0, none: 0 } });
  }

  deleteVip(name: string): void {
    this.#vip(name);
    this.vips.delete(name);
  }

  add(name: string, addresses: readonly string[], weight: number | undefined, flush: boolean): void {
    const vip = this.#vip(name);
    for (const address of addresses) {
      if (weight === undefined && vip.servers.get(address)?.removed === false) throw new Error('exists already');
    }
    for (const address of addresses) vip.servers.set(address, { weight: weight ?? 100, removed: false });
    if (flush) this.#flush(vip, addresses);
  }

  setWeight(name: string, address: string, weight: number, flush: boolean): void {
    const vip = this.#vip(name);
    this.#server(vip, address).weight = weight;
    if (flush) this.#flush(vip, [address]);
  }

  delete(name: string, addresses: readonly string[], flush: boolean): void {
    const vip = this.#vip(name);
    for (const address of addresses) this.#server(vip, address);
    for (const address of addresses) this.#server(vip, address).removed = true;
    if (flush) this.#flush(vip, addresses);
  }

  flushVip(name: string): void {
    this.#vip(name).flows.clear();
  }

  flushAll(): void {
    for (const vip of this.vips.values()) vip.flows.clear();
  }

  /** Address of the server that a packet of a flow goes to: '' if it is dropped, undefined if there is no such VIP. */
  packet(name: string, flow: string, hash: number): string | undefined {
    const vip = this.vips.get(name);
    if (!vip) return undefined;
    const known = vip.flows.get(flow);
    if (known && known.expiry > this.now) {
      known.expiry = this.now + this.timeout;
      vip.counters.existing++;
      return known.server;
    }
    const server = this.table(vip)[hash & (this.newLen - 1)];
    if (server === undefined) {
      vip.counters.none++;
      return '';
    }
    vip.counters.first++;
    vip.flows.set(flow, { server, expiry: this.now + this.timeout });
    return server;
  }

  /** The server of each slot; empty if there is none. */
  table(vip: ModelVip): string[] {
    const taking = [...vip.servers].filter(([, { weight, removed }]) => weight > 0 && !removed);
    const slots = maglev(
      this.newLen,
      taking.map(([address, { weight }]) => ({ address: addressBytes(address), weight })),
    );
    return taking.length === 0 ? [] : Array.from(slots, (slot) => taking[slot]![0]);
  }

  /** Live flows of a server. */
  flowsOf(vip: ModelVip, address: string): number {
    return [...vip.flows.values()].filter(({ server, expiry }) => server === address && expiry > this.now).length;
  }

  #vip(name: string): ModelVip {
    const vip = this.vips.get(name);
    if (!vip) throw new Error('there is no VIP');
    return vip;
  }

  #server(vip: ModelVip, address: string): ModelServer {
    const server = vip.servers.get(address);
    if (!server || server.removed) throw new Error('has no AS');
    return server;
  }

  #flush(vip: ModelVip, addresses: readonly string[]): void {
    for (const [flow, { server }] of vip.flows) if (addresses.includes(server)) vip.flows.delete(flow);
  }
}

export interface ModelVip {
  readonly servers: Map<string, ModelServer>;
  readonly flows: Map<string, { server: string; expiry: number }>;
  readonly counters: { existing: number; first: number; none: number };
}

export interface ModelServer {
  weight: number;
  removed: boolean;
}
