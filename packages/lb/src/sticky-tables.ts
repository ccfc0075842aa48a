import { BUCKET_BYTES, STICKY_BYTES, StickyTable } from '@lbd/sticky';
import type { LbHost } from './host.ts';
import * as L from './layout.ts';
import type { StickyUsage } from './model.ts';
import type { LbHandles } from './tables.ts';

/** The sticky tables of the workers, as the control plane sees them. */
export class StickyTables {
  readonly #host: LbHost;
  readonly #lb: LbHandles;

  constructor(host: LbHost, lb: LbHandles) {
    this.#host = host;
    this.#lb = lb;
  }

  /**
   * All that have flows: while a worker's flows are moved, both of its tables. The old one first: who counts flows one table after the
   * other may count one twice that is just moved, but misses none.
   */
  list(): StickyTable[] {
    return this.#current().flatMap((table) => {
      const { old } = table;
      return old ? [old, table] : [table];
    });
  }

  usage(): StickyUsage[] {
    const now = this.#host.now();
    return this.#current().map((table, worker) => {
      const { live, capacity } = table.usage(now);
      return { worker, used: live + (table.old?.usage(now).live ?? 0), capacity };
    });
  }

  /** Seconds that flows are known after their last packet, each from its next packet on: nothing has to be moved. */
  setTimeout(seconds: number): void {
    for (const table of this.#current()) table.timeout = seconds;
  }

  /** Gives each worker a table of that size and timeout; live flows move along. @throws OutOfMemoryError */
  async replace({ buckets, timeout }: { readonly buckets: number; readonly timeout: number }): Promise<void> {
    const { arena } = this.#host;
    const old = this.#current().map(({ address }) => address);
    const tables: number[] = [];
    try {
      for (const worker of old.keys()) {
        const label = `lb: worker ${worker}: sticky table`;
        const { address } = StickyTable.create(arena, { label, buckets, timeout });
        tables.push(address);
        // Here the kernel finds pages for it, so that no packet has to wait for that.
        arena.memory.u8.fill(0, address + STICKY_BYTES, address + STICKY_BYTES + buckets * BUCKET_BYTES);
      }
    } catch (error) {
      for (const address of tables) arena.free(address);
      throw error;
    }
    await this.#host.onWorkers({ kind: 'lb-sticky', tables, now: this.#host.now() });
    await this.#host.epochs.quiescent();
    for (const address of old) arena.free(address);
  }

  /** By worker. */
  #current(): StickyTable[] {
    const { memory } = this.#host.arena;
    return this.#lb.blocks.map((block) =>
      StickyTable.attach(memory, Atomics.load(memory.u32, (block + L.LB_STICKY) >>> 2)),
    );
  }
}
