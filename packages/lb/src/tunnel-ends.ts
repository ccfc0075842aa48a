import { Bihash } from '@lbd/bihash';
import type { Arena, Memory } from '@lbd/memory';

/** Allocates the addresses of the servers that packets are tunnelled to. @returns their address in the memory */
export function allocateTunnelEnds(arena: Arena, maxServers: number): number {
  const buckets = Math.min(2 ** Math.ceil(Math.log2(maxServers)), 1 << 16);
  const memoryBytes = Math.max(maxServers * 128, 1 << 16);
  return Bihash.create(arena, { label: 'lb: tunnel ends', keyBytes: 16, buckets, memoryBytes }).address;
}

/** The control plane's hand on them. A server may be there several times, for several VIPs. */
export class TunnelEnds {
  readonly #table: Bihash;

  constructor(memory: Memory, address: number) {
    this.#table = Bihash.attach(memory, address);
  }

  /** @param address 16 bytes; an IPv4 address is in the last four. @throws BihashError if there is no room */
  add(address: Uint8Array): void {
    this.#table.set(address, (this.#table.get(address) ?? 0n) + 1n);
  }

  remove(address: Uint8Array): void {
    const users = this.#table.get(address) ?? 0n;
    if (users > 1n) this.#table.set(address, users - 1n);
    else this.#table.delete(address);
  }
}
