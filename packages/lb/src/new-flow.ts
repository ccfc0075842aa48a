import { fillNewFlowTable } from '@lbd/maglev';
import { addressBytes } from '@lbd/packet';
import type { LbHost } from './host.ts';
import * as L from './layout.ts';
import type { LbHandles } from './tables.ts';
import { type Vip, vipName } from './vip.ts';

/** Builds new-flow tables aside and publishes them by one store. */
export class NewFlowTables {
  readonly #host: LbHost;
  readonly #lb: LbHandles;

  constructor(host: LbHost, lb: LbHandles) {
    this.#host = host;
    this.#lb = lb;
  }

  /** A table in which no slot has a server. @param vip its VIP, in words */
  empty(vip: string, length: number): number {
    return this.#host.arena.allocate(`lb: new-flow table of ${vip}`, length * 4);
  }

  free(table: number): void {
    this.#host.arena.free(table);
  }

  /** Builds the VIP's table of its servers with weights, publishes it, and frees the old one when no worker reads it. */
  async rebuild(vip: Vip): Promise<void> {
    const { arena, epochs } = this.#host;
    const { newLen } = vip.spec;
    const table = this.empty(vipName(vip.spec), newLen);
    const servers = [...vip.servers.values()];
    const taking = servers.filter(({ removed, weight }) => !removed && weight > 0);
    const rows = taking.map(({ address, weight, index }) => ({ address: addressBytes(address), weight, value: index }));
    try {
      fillNewFlowTable(arena, table, newLen, rows);
    } catch (error) {
      this.free(table);
      throw error;
    }
    const counts = new Map<number, number>();
    for (const index of arena.memory.u32.subarray(table >>> 2, (table >>> 2) + newLen)) {
      counts.set(index, (counts.get(index) ?? 0) + 1);
    }
    for (const server of servers) server.buckets = server.removed ? 0 : (counts.get(server.index) ?? 0);
    const old = vip.newFlow;
    vip.newFlow = table;
    Atomics.store(arena.memory.u32, (this.#lb.vips + (vip.index << L.VIP_SHIFT) + L.VIP_NEW_FLOW) >>> 2, table);
    await epochs.quiescent();
    this.free(old);
  }
}
