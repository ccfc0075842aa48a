import { StickyTable } from '@lbd/sticky';
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

  /** By worker. */
  list(): StickyTable[] {
    const { memory } = this.#host.arena;
    return this.#lb.blocks.map((block) =>
      StickyTable.attach(memory, Atomics.load(memory.u32, (block + L.LB_STICKY) >>> 2)),
    );
  }

  usage(): StickyUsage[] {
    return this.list().map((table, worker) => {
      const { live, capacity } = table.usage(this.#host.now());
      return { worker, used: live, capacity };
    });
  }

  /** Seconds that flows are known after their last packet, each from its next packet on: nothing has to be moved. */
  setTimeout(seconds: number): void {
    for (const table of this.list()) table.timeout = seconds;
  }

  /** Gives each worker a table of that size and timeout; live flows move along. @throws OutOfMemoryError */
  async replace({ buckets, timeout }: { readonly buckets: number; readonly timeout: number }): Promise<void> {
    const { arena } = this.#host;
    const old = this.list().map(({ address }) => address);
    const tables: number[] = [];
    try {
      for (const worker of old.keys()) {
        const label = `lb: worker ${worker}: sticky table`;
        tables.push(StickyTable.create(arena, { label, buckets, timeout }).address);
      }
    } catch (error) {
      for (const address of tables) arena.free(address);
      throw error;
    }
    await this.#host.onWorkers({ kind: 'lb-sticky', tables, now: this.#host.now() });
    await this.#host.epochs.quiescent();
    for (const address of old) arena.free(address);
  }
}
