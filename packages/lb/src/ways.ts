import type { LbHost } from './host.ts';

/** The way to an address: the DPO that leads there, and the largest IP packet that it takes, bytes. */
export interface Way {
  readonly dpo: number;
  readonly mtu: number;
}

/** What follows a way: knows its address, in normal form. */
export interface WayFollower {
  readonly address: string;
}

interface Followed<T> extends Way {
  dpo: number;
  mtu: number;
  /** One mostly: a set costs much where there are a million. */
  followers: T | Set<T> | undefined;
  tracker?: { stop(): void };
}

/** Follows the ways to servers, each address once, however many VIPs have it. */
export class Ways<T extends WayFollower> {
  readonly #host: LbHost;
  readonly #changed: (follower: T, way: Way) => void;
  readonly #ways = new Map<string, Followed<T>>();

  /** @param changed told of the way to a follower's address when it begins to follow, and whenever the way changes */
  constructor(host: LbHost, changed: (follower: T, way: Way) => void) {
    this.#host = host;
    this.#changed = changed;
  }

  follow(follower: T): void {
    const way = this.#ways.get(follower.address) ?? this.#start(follower.address);
    const { followers } = way;
    if (followers === undefined) way.followers = follower;
    else if (followers instanceof Set) followers.add(follower);
    else way.followers = new Set([followers, follower]);
    this.#changed(follower, way);
  }

  leave(follower: T): void {
    const way = this.#ways.get(follower.address);
    if (!way) return;
    const { followers } = way;
    if (followers instanceof Set) followers.delete(follower);
    else if (followers === follower) way.followers = undefined;
    if (way.followers instanceof Set ? way.followers.size > 0 : way.followers !== undefined) return;
    this.#ways.delete(follower.address);
    way.tracker?.stop();
  }

  #start(address: string): Followed<T> {
    const way: Followed<T> = { dpo: 0, mtu: 0, followers: undefined };
    way.tracker = this.#host.track(address, (dpo, mtu) => {
      way.dpo = dpo;
      way.mtu = mtu;
      if (way.followers === undefined) return;
      const followers = way.followers instanceof Set ? way.followers : [way.followers];
      for (const follower of followers) this.#changed(follower, way);
    });
    this.#ways.set(address, way);
    return way;
  }
}
