import type { Steering } from '@lbd/io';
import { attachFilter } from '@lbd/native';
import { parsePrefix, prefixText } from '@lbd/packet';
import { buildFilter, type Return } from './filter.ts';
import type { Hider } from './hider.ts';

interface SteeredPort {
  readonly fds: readonly number[];
  readonly nat: { 4: boolean; 6: boolean };
}

/** Keeps the ports' socket filters, and what is hidden from the kernel, at what is lbd's own. */
export class AfPacketSteering implements Steering {
  readonly #ports = new Map<number, SteeredPort>();
  readonly #prefixes = new Set<string>();
  readonly #returns = new Map<string, Return>();
  #hider: Hider | undefined;

  addPrefix(prefix: string): void {
    this.#prefixes.add(prefixText(parsePrefix(prefix)));
    this.#filter();
    this.#hider?.setPrefixes(this.#prefixes);
  }

  removePrefix(prefix: string): void {
    this.#prefixes.delete(prefixText(parsePrefix(prefix)));
    this.#filter();
    this.#hider?.setPrefixes(this.#prefixes);
  }

  addReturn(address: string, protocol: number, port: number): void {
    const key = `${address} ${protocol} ${port}`;
    if (this.#returns.has(key)) return;
    const added = { address, protocol, port };
    this.#returns.set(key, added);
    this.#filter();
    this.#hider?.setReturn(added, true);
  }

  removeReturn(address: string, protocol: number, port: number): void {
    const key = `${address} ${protocol} ${port}`;
    const removed = this.#returns.get(key);
    if (!removed) return;
    this.#returns.delete(key);
    this.#filter();
    this.#hider?.setReturn(removed, false);
  }

  setNat(interfaceIndex: number, family: 4 | 6, on: boolean): void {
    const port = this.#ports.get(interfaceIndex);
    if (!port || port.nat[family] === on) return;
    port.nat[family] = on;
    this.#filter();
    this.#hider?.setNat(interfaceIndex, port.nat[4], port.nat[6]);
  }

  /** From now on the hider does as the filters do. */
  hideWith(hider: Hider): void {
    this.#hider = hider;
    hider.setPrefixes(this.#prefixes);
    for (const entry of this.#returns.values()) hider.setReturn(entry, true);
  }

  addPort(index: number, fds: readonly number[]): void {
    this.#ports.set(index, { fds, nat: { 4: false, 6: false } });
    this.#filter();
  }

  removePort(index: number): void {
    this.#ports.delete(index);
  }

  #filter(): void {
    for (const { fds, nat } of this.#ports.values()) {
      const returns = [...this.#returns.values()].filter(({ address }) => nat[parsePrefix(address).family]);
      const program = buildFilter({ prefixes: this.#prefixes, returns });
      for (const fd of fds) attachFilter(fd, program);
    }
  }
}
