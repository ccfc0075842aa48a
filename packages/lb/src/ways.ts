import type { LbHost } from './host.ts';

/** The way to an address: the DPO that leads there, and the largest IP packet that it takes, bytes. */
export interface Way {
  readonly dpo: number;
  readonly mtu: number;
}

interface Followed extends Way {
  dpo: number;
  mtu: number;
  readonly followers: Set<(way: Way) => void>;
  tracker?: { close(): void };
}

/** Follows the ways to servers, each address once, however many VIPs have it. */
export class Ways {
  readonly #host: LbHost;
  readonly #ways = new Map<string, Followed>();

  constructor(host: LbHost) {
    this.#host = host;
  }

  /** Calls back with the way to an address, now and whenever it changes, until closed. @param address in normal form */
  follow(address: string, changed: (way: Way) => void): { close(): void } {
    const way = this.#ways.get(address) ?? this.#start(address);
    way.followers.add(changed);
    changed(way);
    return {
      close: () => {
        way.followers.delete(changed);
        if (way.followers.size > 0 || this.#ways.get(address) !== way) return;
        this.#ways.delete(address);
        way.tracker?.close();
      },
    };
  }

  #start(address: string): Followed {
    const way: Followed = { dpo: 0, mtu: 0, followers: new Set() };
    way.tracker = this.#host.track(address, (dpo, mtu) => {
      Object.assign(way, { dpo, mtu });
      for (const changed of way.followers) changed(way);
    });
    this.#ways.set(address, way);
    return way;
  }
}
