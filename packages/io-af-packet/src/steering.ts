import { DriverError, type Steering } from '@lbd/io';
import { attachFilter } from '@lbd/native';
import { parsePrefix, prefixText } from '@lbd/packet';
import { buildFilter, NOTHING, type NodePort, type Return } from './filter.ts';
import type { Hider } from './hider.ts';

interface SteeredPort {
  readonly fds: readonly number[];
  /** True if the hider has it, too. */
  readonly hidden: boolean;
  readonly nat: Readonly<Record<4 | 6, boolean>>;
}

/** What is lbd's own, each with its text as key. Replaced as a whole, so that a change that fails changes nothing. */
interface Rules {
  readonly ports: ReadonlyMap<number, SteeredPort>;
  readonly prefixes: ReadonlyMap<string, string>;
  readonly returns: ReadonlyMap<string, Return>;
  readonly nodePorts: ReadonlyMap<string, NodePort>;
  readonly locals: ReadonlyMap<string, string>;
  readonly tunnelSources: ReadonlyMap<string, string>;
}
type Kind = Exclude<keyof Rules, 'ports'>;
type Entry<K extends Kind> = Rules[K] extends ReadonlyMap<string, infer V> ? V : never;

const NO_RULES: Rules = {
  ports: new Map(),
  prefixes: new Map(),
  returns: new Map(),
  nodePorts: new Map(),
  locals: new Map(),
  tunnelSources: new Map(),
};

/** Keeps the ports' socket filters, and what is hidden from the kernel, at what is lbd's own. */
export class AfPacketSteering implements Steering {
  #rules: Rules = NO_RULES;
  /** How often each entry was added: VIPs may share a server and its port. */
  readonly #owners = new Map<string, number>();
  /** The program of each socket. */
  readonly #attached = new Map<number, Uint8Array>();
  #hider: Hider | undefined;

  addPrefix(prefix: string): void {
    const text = prefixText(parsePrefix(prefix));
    this.#add('prefixes', text, text, () => this.#hider?.setPrefixes(this.#rules.prefixes.keys()));
  }

  removePrefix(prefix: string): void {
    const text = prefixText(parsePrefix(prefix));
    this.#remove('prefixes', text, () => this.#hider?.setPrefixes(this.#rules.prefixes.keys()));
  }

  addReturn(address: string, protocol: number, port: number): void {
    const entry = { address, protocol, port };
    this.#add('returns', `${address} ${protocol} ${port}`, entry, () => this.#hider?.setReturn(entry, true));
  }

  removeReturn(address: string, protocol: number, port: number): void {
    this.#remove('returns', `${address} ${protocol} ${port}`, (entry) => this.#hider?.setReturn(entry, false));
  }

  setNat(interfaceIndex: number, family: 4 | 6, on: boolean): void {
    const port = this.#rules.ports.get(interfaceIndex);
    if (!port || port.nat[family] === on) return;
    const nat = { ...port.nat, [family]: on };
    this.#apply({ ...this.#rules, ports: new Map(this.#rules.ports).set(interfaceIndex, { ...port, nat }) });
    if (port.hidden) this.#hider?.setNat(interfaceIndex, nat[4], nat[6]);
  }

  addNodePort(family: 4 | 6, protocol: number, port: number): void {
    const entry = { family, protocol, port };
    this.#add('nodePorts', `${family} ${protocol} ${port}`, entry, () => this.#hider?.setNodePort(entry, true));
  }

  removeNodePort(family: 4 | 6, protocol: number, port: number): void {
    this.#remove('nodePorts', `${family} ${protocol} ${port}`, (entry) => this.#hider?.setNodePort(entry, false));
  }

  addLocalAddress(address: string): void {
    this.#add('locals', address, address, () => this.#hider?.setLocal(address, true));
  }

  removeLocalAddress(address: string): void {
    this.#remove('locals', address, () => this.#hider?.setLocal(address, false));
  }

  addTunnelSource(address: string): void {
    this.#add('tunnelSources', address, address, () => {});
  }

  removeTunnelSource(address: string): void {
    this.#remove('tunnelSources', address, () => {});
  }

  /** From now on the hider does as the filters do. */
  hideWith(hider: Hider): void {
    if (this.#hider === hider) return;
    this.#hider = hider;
    hider.setPrefixes(this.#rules.prefixes.keys());
    for (const [index, { hidden, nat }] of this.#rules.ports) if (hidden) hider.setNat(index, nat[4], nat[6]);
    for (const entry of this.#rules.returns.values()) hider.setReturn(entry, true);
    for (const entry of this.#rules.nodePorts.values()) hider.setNodePort(entry, true);
    for (const address of this.#rules.locals.keys()) hider.setLocal(address, true);
  }

  /** The sockets' filters accept nothing so far. */
  addPort(index: number, fds: readonly number[], hidden = false): void {
    for (const fd of fds) this.#attached.set(fd, NOTHING);
    const ports = new Map(this.#rules.ports).set(index, { fds, hidden, nat: { 4: false, 6: false } });
    this.#apply({ ...this.#rules, ports });
  }

  removePort(index: number): void {
    const ports = new Map(this.#rules.ports);
    ports.delete(index);
    this.#rules = { ...this.#rules, ports };
  }

  /** @param added called when it was not there before */
  #add<K extends Kind>(kind: K, key: string, entry: Entry<K>, added: () => void): void {
    const id = `${kind} ${key}`;
    const owners = this.#owners.get(id) ?? 0;
    if (owners === 0) {
      this.#apply({ ...this.#rules, [kind]: new Map<string, unknown>(this.#rules[kind]).set(key, entry) });
      added();
    }
    this.#owners.set(id, owners + 1);
  }

  /** @param removed called when the last one who added it has removed it */
  #remove<K extends Kind>(kind: K, key: string, removed: (entry: Entry<K>) => void): void {
    const id = `${kind} ${key}`;
    const entry = this.#rules[kind].get(key) as Entry<K> | undefined;
    const owners = (this.#owners.get(id) ?? 0) - 1;
    if (entry === undefined || owners < 0) return;
    if (owners > 0) {
      this.#owners.set(id, owners);
      return;
    }
    const rest = new Map<string, unknown>(this.#rules[kind]);
    rest.delete(key);
    this.#apply({ ...this.#rules, [kind]: rest });
    this.#owners.delete(id);
    removed(entry);
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
          if (same(this.#attached.get(fd), program)) continue;
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

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

function build({ prefixes, returns, nodePorts, locals, tunnelSources }: Rules, nat: SteeredPort['nat']): Uint8Array {
  const applied = [...returns.values()].filter(({ address }) => nat[address.includes(':') ? 6 : 4]);
  try {
    return buildFilter({
      prefixes: prefixes.values(),
      returns: applied,
      nodePorts: nodePorts.values(),
      locals: locals.values(),
      tunnelSources: tunnelSources.values(),
    });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new DriverError('LBD_DRIVER_OPEN', `af_packet: too much to steer: ${cause.message}`, { cause });
  }
}
