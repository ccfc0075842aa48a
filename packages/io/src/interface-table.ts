import * as L from '@lbd/graph';
import type { Memory } from '@lbd/memory';
import { addressBytes, addressText, macBytes, macText } from '@lbd/packet';
import { type InterfaceCounters, sumInterfaceCounters } from './interface-counters.ts';

/** An interface as the control plane describes it. Addresses are text, `''` for none. */
export interface Interface {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** Largest IP packet that may leave, bytes. */
  readonly mtu: number;
  /** `02:00:00:00:00:01` */
  readonly mac: string;
  /** The kernel's index of it; 0 if the kernel does not know it. */
  readonly ifindex: number;
  /** Where ICMP errors are sent from. */
  readonly ip4: string;
  readonly ip6: string;
  /** Which member of the fan-outs `output` and `punt` its driver is. */
  readonly driver: number;
  readonly partialChecksums: boolean;
}

export class InterfaceTableError extends Error {
  readonly code: 'LBD_INTERFACE_EXISTS' | 'LBD_INTERFACE_UNKNOWN' | 'LBD_INTERFACE_TABLE_FULL' | 'LBD_INTERFACE_VALUE';
  constructor(code: InterfaceTableError['code'], message: string) {
    super(message);
    this.name = 'InterfaceTableError';
    this.code = code;
  }
}

/**
 * The interface table, which nodes read in the shared memory, and the names that go with it. Control plane only: one
 * thread writes. An entry that is not in use is down, so that packets sent to it are dropped and counted.
 */
export class InterfaceTable {
  /** Address of the table: WORKER_INTERFACES of every worker. */
  readonly address: number;
  readonly #memory: Memory;
  readonly #names: (string | undefined)[] = new Array(L.MAX_INTERFACES).fill(undefined);

  /** @param address of the table, zeroed: `interfaces` of the graph's layout */
  constructor(memory: Memory, address: number) {
    this.#memory = memory;
    this.address = address;
  }

  /**
   * Adds an interface at the lowest free index and returns that. What is left out is zero, empty or false, and the MTU
   * 1500.
   * @throws InterfaceTableError if the name is taken, the table full, or a value out of its range
   */
  add(entry: Partial<Omit<Interface, 'index'>> & { readonly name: string }): number {
    if (this.#names.includes(entry.name)) {
      throw new InterfaceTableError('LBD_INTERFACE_EXISTS', `interface ${entry.name} is there already`);
    }
    const index = this.#names.indexOf(undefined);
    if (index < 0) {
      throw new InterfaceTableError(
        'LBD_INTERFACE_TABLE_FULL',
        `no room for interface ${entry.name}: there are ${L.MAX_INTERFACES} already`,
      );
    }
    this.#write(index, {
      index,
      up: false,
      mtu: 1500,
      mac: '00:00:00:00:00:00',
      ifindex: 0,
      ip4: '',
      ip6: '',
      driver: 0,
      partialChecksums: false,
      ...entry,
    });
    this.#names[index] = entry.name;
    return index;
  }

  /** Changes some of an interface's values. Each word changes at once; a packet in flight may see old and new ones. */
  update(index: number, changes: Partial<Omit<Interface, 'index' | 'name'>>): void {
    this.#write(index, { ...this.get(index), ...changes });
  }

  /** Takes an interface out: packets to it are dropped. Wait for a quiescent point before its index is used again. */
  remove(index: number): void {
    this.#known(index);
    const at = this.#at(index);
    this.#memory.u32[(at + L.INTERFACE_FLAGS) >>> 2] = 0;
    this.#memory.u8.fill(0, at, at + (1 << L.INTERFACE_SHIFT));
    this.#names[index] = undefined;
  }

  /** @throws InterfaceTableError if there is no such interface */
  get(index: number): Interface {
    const name = this.#known(index);
    const at = this.#at(index);
    const { u8, u32 } = this.#memory;
    const flags = u32[(at + L.INTERFACE_FLAGS) >>> 2]!;
    return {
      index,
      name,
      up: (flags & L.INTERFACE_UP) !== 0,
      mtu: u32[(at + L.INTERFACE_MTU) >>> 2]!,
      mac: macText(u8.subarray(at + L.INTERFACE_MAC, at + L.INTERFACE_MAC + 6)),
      ifindex: u32[(at + L.INTERFACE_IFINDEX) >>> 2]!,
      ip4: textOf(u8.subarray(at + L.INTERFACE_IP4, at + L.INTERFACE_IP4 + 4)),
      ip6: textOf(u8.subarray(at + L.INTERFACE_IP6, at + L.INTERFACE_IP6 + 16)),
      driver: u32[(at + L.INTERFACE_DRIVER) >>> 2]!,
      partialChecksums: (flags & L.INTERFACE_PARTIAL_CHECKSUMS) !== 0,
    };
  }

  /** Index of the interface with this name, if there is one. */
  find(name: string): number | undefined {
    const index = this.#names.indexOf(name);
    return index < 0 ? undefined : index;
  }

  /** Index of the interface that the kernel knows by this index, if there is one. */
  findByIfindex(ifindex: number): number | undefined {
    return this.list().find((entry) => entry.ifindex === ifindex)?.index;
  }

  /** The interfaces, by index. */
  list(): Interface[] {
    return this.#names.flatMap((name, index) => (name === undefined ? [] : [this.get(index)]));
  }

  /** What went through an interface, summed over the workers whose blocks are at these addresses. */
  counters(index: number, workers: Iterable<number>): InterfaceCounters {
    this.#known(index);
    return sumInterfaceCounters(this.#memory, workers, index);
  }

  #write(index: number, entry: Interface): void {
    const mac = checked(entry, 'MAC address', 6, () => macBytes(entry.mac));
    const ip4 = checked(entry, 'IPv4 address', 4, () => addressOr0(entry.ip4, 4));
    const ip6 = checked(entry, 'IPv6 address', 16, () => addressOr0(entry.ip6, 16));
    for (const key of ['mtu', 'ifindex', 'driver'] as const) {
      const value = entry[key];
      if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
        throw bad(entry.name, `${key} ${value} must be a whole number from 0 to 4294967295`);
      }
    }
    const at = this.#at(index);
    const { u8, u32 } = this.#memory;
    u32[(at + L.INTERFACE_MTU) >>> 2] = entry.mtu;
    u8.set(mac, at + L.INTERFACE_MAC);
    u32[(at + L.INTERFACE_IFINDEX) >>> 2] = entry.ifindex;
    u8.set(ip4, at + L.INTERFACE_IP4);
    u8.set(ip6, at + L.INTERFACE_IP6);
    u32[(at + L.INTERFACE_DRIVER) >>> 2] = entry.driver;
    // The flags last: a worker that sees the interface up sees the rest of it.
    const flags = (entry.up ? L.INTERFACE_UP : 0) | (entry.partialChecksums ? L.INTERFACE_PARTIAL_CHECKSUMS : 0);
    Atomics.store(u32, (at + L.INTERFACE_FLAGS) >>> 2, flags);
  }

  #known(index: number): string {
    const name = this.#names[index];
    if (name === undefined) throw new InterfaceTableError('LBD_INTERFACE_UNKNOWN', `there is no interface ${index}`);
    return name;
  }

  #at(index: number): number {
    return this.address + (index << L.INTERFACE_SHIFT);
  }
}

/** Text of an address, `''` if it is all zeros. */
function textOf(bytes: Uint8Array): string {
  return bytes.every((byte) => byte === 0) ? '' : addressText(bytes);
}

function addressOr0(text: string, bytes: number): Uint8Array {
  return text === '' ? new Uint8Array(bytes) : addressBytes(text);
}

function checked(entry: Interface, what: string, length: number, parse: () => Uint8Array): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = parse();
  } catch (error) {
    throw bad(entry.name, `${what}: ${(error as Error).message}`);
  }
  if (bytes.length !== length) throw bad(entry.name, `${what}: ${bytes.length} bytes, ${length} are needed`);
  return bytes;
}

function bad(name: string, what: string): InterfaceTableError {
  return new InterfaceTableError('LBD_INTERFACE_VALUE', `interface ${name}: ${what}`);
}
