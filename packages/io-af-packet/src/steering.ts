import { DriverError, type Steering } from '@lbd/io';
import { attachFilter } from '@lbd/native';
import { parsePrefix, prefixText } from '@lbd/packet';
import { buildFilter, NOTHING, type Return } from './filter.ts';
import type { Hider } from './hider.ts';

interface SteeredPort {
  readonly fds: readonly number[];
  readonly nat: Readonly<Record<4 | 6, boolean>>;
}

/** What is lbd's own. Replaced as a whole, so that a change that fails changes nothing. */
interface Rules {
  readonly ports: ReadonlyMap<number, SteeredPort>;
  readonly prefixes: ReadonlySet<string>;
  readonly returns: ReadonlyMap<string, Return>;
}

/** Keeps the ports' socket filters, and what is hidden from the kernel, at what is lbd's own. */
export class AfPacketSteering implements Steering {
  #rules: Rules = { ports: new Map(), prefixes: new Set(), returns: new Map() };
  /** How often each return was added: VIPs may share a server and its port. */
  readonly #owners = new Map<string, number>();
  /** The program of each socket. */
  readonly #attached = new Map<number, Uint8Array>();
  #hider: Hider | undefined;

  addPrefix(prefix: string): void {
    this.#setPrefixes(new Set(this.#rules.prefixes).add(prefixText(parsePrefix(prefix))));
  }

  removePrefix(prefix: string): void {
    const prefixes = new Set(this.#rules.prefixes);
    prefixes.delete(prefixText(parsePrefix(prefix)));
    this.#setPrefixes(prefixes);
  }

  addReturn(address: string, protocol: number, port: number): void {
    const key = `${address} ${protocol} ${port}`;
    const owners = this.#owners.get(key) ?? 0;
    if (owners === 0) {
      const added = { address, protocol, port };
      this.#apply({ ...this.#rules, returns: new Map(this.#rules.returns).set(key, added) });
      this.#hider?.setReturn(added, true);
    }
    this.#owners.set(key, owners + 1);
  }

  removeReturn(address: string, protocol: number, port: number): void {
    const key = `${address} ${protocol} ${port}`;
    const removed = this.#rules.returns.get(key);
    if (!removed) return;
    const owners = this.#owners.get(key)! - 1;
    if (owners > 0) {
      this.#owners.set(key, owners);
      return;
    }
    const returns = new Map(this.#rules.returns);
    returns.delete(key);
    this.#apply({ ...this.#rules, returns });
    this.#owners.delete(key);
    this.#hider?.setReturn(removed, false);
  }

  setNat(interfaceIndex: number, family: 4 | 6, on: boolean): void {
    const port = this.#rules.ports.get(interfaceIndex);
    if (!port || port.nat[family] === on) return;
    const nat = { ...port.nat, [family]: on };
    this.#apply({ ...this.#rules, ports: new Map(this.#rules.ports).set(interfaceIndex, { ...port, nat }) });
    this.#hider?.setNat(interfaceIndex, nat[4], nat[6]);
  }

  addNodePort(_family: 4 | 6, _protocol: number, _port: number): void {}

  removeNodePort(_family: 4 | 6, _protocol: number, _port: number): void {}

  addLocalAddress(_address: string): void {}

  removeLocalAddress(_address: string): void {}

  addTunnelSource(_address: string): void {}

  removeTunnelSource(_address: string): void {}

  /** From now on the hider does as the filters do. */
  hideWith(hider: Hider): void {
    if (this.#hider === hider) return;
    this.#hider = hider;
    hider.setPrefixes(this.#rules.prefixes);
    for (const entry of this.#rules.returns.values()) hider.setReturn(entry, true);
  }

  /** The sockets' filters accept nothing so far. */
  addPort(index: number, fds: readonly number[]): void {
    for (const fd of fds) this.#attached.set(fd, NOTHING);
    const ports = new Map(this.#rules.ports).set(index, { fds, nat: { 4: false, 6: false } });
    this.#apply({ ...this.#rules, ports });
  }

  removePort(index: number): void {
    const ports = new Map(this.#rules.ports);
    ports.delete(index);
    this.#rules = { ...this.#rules, ports };
  }

  #setPrefixes(prefixes: ReadonlySet<string>): void {
    this.#apply({ ...this.#rules, prefixes });
    this.#hider?.setPrefixes(prefixes);
  }

  /** @throws DriverError if the kernel does not take so many; nothing has changed then */
  #apply(rules: Rules): void {
    // Ports with NAT for the same families have the same filter.
    const built = new Map<string, Uint8Array>();
    const programs = [...rules.ports.values()].map(({ fds, nat }) => {
      const key = `${nat[4]} ${nat[6]}`;
      const program = built.get(key) ?? build(rules, nat);
      built.set(key, program);
      return { fds, program };
    });
    const changed: number[] = [];
    try {
      for (const { fds, program } of programs) {
        for (const fd of fds) {
          attachFilter(fd, program);
          changed.push(fd);
        }
      }
    } catch (cause) {
      for (const fd of changed) attachFilter(fd, this.#attached.get(fd)!);
      const message = `af_packet: cannot steer: ${(cause as Error).message} (its room is net.core.optmem_max)`;
      throw new DriverError('LBD_DRIVER_OPEN', message, { cause });
    }
    for (const { fds, program } of programs) for (const fd of fds) this.#attached.set(fd, program);
    this.#rules = rules;
  }
}

function build({ prefixes, returns }: Rules, nat: SteeredPort['nat']): Uint8Array {
  const applied = [...returns.values()].filter(({ address }) => nat[address.includes(':') ? 6 : 4]);
  try {
    return buildFilter({ prefixes, returns: applied });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new DriverError('LBD_DRIVER_OPEN', `af_packet: too much to steer: ${cause.message}`, { cause });
  }
}
