import { type Family, ip4Number, type Prefix, prefixOf } from '@lbd/packet';
import type { PathList } from './path-lists.ts';

/** Who says where a prefix leads. Of several for one prefix the lowest rank applies, then the lowest metric. */
export interface Source {
  readonly kind: 'built-in' | 'special' | 'local' | 'kernel' | 'neighbour';
  /** Tells apart sources of one kind. */
  readonly id: string;
  readonly metric: number;
  /** Where it leads: to a DPO, or over next hops. */
  readonly via: number | PathList;
  /** For a prefix that is on the link of an interface: the kernel's index of that. */
  readonly connected?: number;
  /** Largest packet that it is for, bytes, if it says so. */
  readonly mtu?: number;
}

const RANK = { 'built-in': 0, special: 1, local: 2, kernel: 3, neighbour: 4 } as const;

/** All that is known about a prefix. */
export interface RibEntry {
  readonly prefix: Prefix;
  /** Best first. */
  readonly sources: Source[];
  /** DPO in the FIB now; undefined if it is not there. */
  installed: number | undefined;
  /** What was said of the largest packet then. */
  mtu: number | undefined;
}

/** The sources of each prefix of one family: what the FIB is computed from. */
export class Rib {
  readonly #entries = new Map<number | string, RibEntry>();
  /** Number of entries, by prefix length. */
  readonly #counts: Uint32Array;
  readonly #bits: number;

  constructor(family: Family) {
    this.#bits = family === 4 ? 32 : 128;
    this.#counts = new Uint32Array(this.#bits + 1);
  }

  get(prefix: Prefix): RibEntry | undefined {
    return this.#entries.get(keyOf(prefix));
  }

  values(): IterableIterator<RibEntry> {
    return this.#entries.values();
  }

  /** Adds a source to a prefix, in the place of one of the same kind and id. Returns the entry, and what was replaced. */
  put(prefix: Prefix, source: Source): { entry: RibEntry; replaced: Source | undefined } {
    let entry = this.get(prefix);
    if (!entry) {
      entry = { prefix, sources: [], installed: undefined, mtu: undefined };
      this.#entries.set(keyOf(prefix), entry);
      this.#counts[prefix.length]! += 1;
    }
    const there = entry.sources.findIndex(({ kind, id }) => kind === source.kind && id === source.id);
    const replaced = entry.sources[there];
    if (replaced?.metric === source.metric) {
      // it stays before those of its metric that came later, as in the kernel
      entry.sources[there] = source;
      return { entry, replaced };
    }
    take(entry, source.kind, source.id);
    const at = entry.sources.findIndex((other) => before(source, other));
    entry.sources.splice(at < 0 ? entry.sources.length : at, 0, source);
    return { entry, replaced };
  }

  /** Removes a source. */
  remove(prefix: Prefix, kind: Source['kind'], id: string): { entry: RibEntry; replaced: Source } | undefined {
    const entry = this.get(prefix);
    const replaced = entry && take(entry, kind, id);
    return replaced && { entry: entry!, replaced };
  }

  /** Forgets an entry that has no source. */
  forget(entry: RibEntry): void {
    if (this.#entries.delete(keyOf(entry.prefix))) this.#counts[entry.prefix.length]! -= 1;
  }

  /** What applies to an address, neighbours aside. */
  covering(address: Uint8Array): Source | undefined {
    for (let length = this.#bits; length >= 0; length--) {
      if (this.#counts[length] === 0) continue;
      const source = this.get(prefixOf(address, length))?.sources[0];
      if (source && source.kind !== 'neighbour') return source;
    }
    return undefined;
  }
}

function keyOf({ family, bytes, length }: Prefix): number | string {
  return family === 4 ? ip4Number(bytes) * 64 + length : `${Buffer.from(bytes).toString('latin1')}${length}`;
}

function before(a: Source, b: Source): boolean {
  return RANK[a.kind] - RANK[b.kind] < 0 || (a.kind === b.kind && a.metric < b.metric);
}

function take(entry: RibEntry, kind: Source['kind'], id: string): Source | undefined {
  const at = entry.sources.findIndex((source) => source.kind === kind && source.id === id);
  return at < 0 ? undefined : entry.sources.splice(at, 1)[0];
}
