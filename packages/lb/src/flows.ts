import type { EncapControl } from './encap.ts';
import type { LbHost } from './host.ts';
import type { StickyTables } from './sticky-tables.ts';
import type { LbHandles } from './tables.ts';

/** Counts established flows by server. */
export class Flows {
  readonly #host: LbHost;
  readonly #lb: LbHandles;
  readonly #sticky: StickyTables;
  readonly #controls: ReadonlyMap<string, EncapControl>;
  /** Address of a u32 for each server. */
  readonly #counts: number;

  constructor(host: LbHost, lb: LbHandles, sticky: StickyTables, controls: ReadonlyMap<string, EncapControl>) {
    this.#host = host;
    this.#lb = lb;
    this.#sticky = sticky;
    this.#controls = controls;
    this.#counts = host.arena.allocate('lb: flows of each server', lb.maxServers * 4);
  }

  /** Flows that live at a second, of all workers together. The result counts as long as nobody counts anew. */
  count(now = this.#host.now()): (server: number) => number {
    const { arena } = this.#host;
    const { maxServers } = this.#lb;
    const counts = arena.memory.u32.subarray(this.#counts >>> 2, (this.#counts >>> 2) + maxServers).fill(0);
    for (const table of this.#sticky.list()) table.countByAsInto(this.#counts, maxServers, now);
    // A flow that an encap holds is mostly in the sticky table, too: what both have is not counted twice.
    for (const control of this.#controls.values()) {
      for (const [server, n] of control.countFlows?.(now) ?? []) counts[server] = Math.max(counts[server]!, n);
    }
    return (server) => counts[server]!;
  }
}
