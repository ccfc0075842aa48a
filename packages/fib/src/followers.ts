import type { Prefix } from '@lbd/packet';
import { contains, ip4Number } from '@lbd/packet';

/** What follows an address of 4 or 16 bytes. */
export interface Follower {
  readonly bytes: Uint8Array;
}

/** Addresses that share all but the last 8 bits (IPv4) or 16 (IPv6) are kept together. */
const BITS = { 4: 24, 6: 112 } as const;
/** Keys of IPv4 groups are below this; of IPv6 groups they are texts. */
const GROUPS4 = 2 ** BITS[4];

/**
 * Finds who follows an address within a prefix, without a look at all others: a million servers are followed, and each VIP
 * that comes or goes changes one prefix. A prefix as long as an address's group or longer costs the same however many there are;
 * a shorter one, one step for each group at most.
 */
export class Followers<T extends Follower> {
  readonly #groups = { 4: new Map<number | string, Set<T>>(), 6: new Map<number | string, Set<T>>() } as const;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(follower: T): boolean {
    return this.#group(follower.bytes)?.has(follower) ?? false;
  }

  add(follower: T): void {
    const groups = this.#groups[follower.bytes.length === 4 ? 4 : 6];
    const key = keyOf(follower.bytes);
    const group = groups.get(key) ?? new Set();
    if (group.size === 0) groups.set(key, group);
    if (!group.has(follower)) this.#size++;
    group.add(follower);
  }

  delete(follower: T): boolean {
    const group = this.#group(follower.bytes);
    if (!group?.delete(follower)) return false;
    this.#size--;
    if (group.size === 0) this.#groups[follower.bytes.length === 4 ? 4 : 6].delete(keyOf(follower.bytes));
    return true;
  }

  /** Everyone, as of now: those that come meanwhile are not among them. */
  all(): T[] {
    return [...this.#groups[4].values(), ...this.#groups[6].values()].flatMap((group) => [...group]);
  }

  /** Everyone whose address lies in the prefix, as of now. */
  within(prefix: Prefix): T[] {
    const inside = (group: Iterable<T>) => Array.from(group).filter(({ bytes }) => contains(prefix, bytes));
    const groups = this.#groups[prefix.family];
    const { family, bytes, length } = prefix;
    if (length >= BITS[family]) return inside(groups.get(keyOf(bytes)) ?? []);
    if (family === 4) {
      // Few groups can be in the prefix, or few are there at all: whichever is less is gone through.
      const first = keyOf(bytes) as number;
      const end = Math.min(first + 2 ** (BITS[4] - length), GROUPS4);
      const found: T[] = [];
      if (end - first < groups.size) {
        for (let key = first; key < end; key++) found.push(...(groups.get(key) ?? []));
      } else {
        for (const [key, group] of groups) if ((key as number) >= first && (key as number) < end) found.push(...group);
      }
      return found;
    }
    return [...groups.values()].flatMap((group) => {
      const [one] = group;
      return contains(prefix, one!.bytes) ? [...group] : [];
    });
  }

  #group(bytes: Uint8Array): Set<T> | undefined {
    return this.#groups[bytes.length === 4 ? 4 : 6].get(keyOf(bytes));
  }
}

function keyOf(bytes: Uint8Array): number | string {
  return bytes.length === 4 ? ip4Number(bytes) >>> 8 : Buffer.from(bytes.subarray(0, BITS[6] / 8)).toString('latin1');
}
