import { MAX_INTERFACES } from '@lbd/graph';
import type { Steering } from '@lbd/io';
import { bpfMapCreate, bpfMapDelete, bpfMapUpdate, close } from '@lbd/native';
import { addressBytes, parsePrefix } from '@lbd/packet';
import {
  KEY_BYTES,
  NAT4_BIT,
  NAT6_BIT,
  PORTS4_BIT,
  PORTS6_BIT,
  type SteeringMaps,
  TUNNELS4_BIT,
  TUNNELS6_BIT,
} from './xdp/maps.ts';

/** Elements of a map, at most. Memory is taken as they come. */
const ENTRIES = 65536;
const BPF_F_NO_PREALLOC = 1;
/** Fragmented datagrams to node ports that are remembered; their elements are made beforehand. */
const FRAGMENT_ENTRIES = 4096;

type KeyedMap = keyof typeof KEY_BYTES;
type MapOptions = Omit<Parameters<typeof bpfMapCreate>[0], 'name' | 'valueBytes'>;

/**
 * The maps that the XDP programs of all interfaces look into. Two owners may want the same element (VIPs that share a
 * server and port), so each addition is counted, and the element goes with the last removal.
 */
export class XdpSteering implements Steering {
  readonly maps: SteeringMaps;
  readonly #added = new Map<string, number>();
  /** Bits of what there is any of, which every interface has. */
  readonly #any = new Map<number, number>();
  /** Bits of each interface's own. */
  readonly #nat = new Uint32Array(MAX_INTERFACES);

  /** @throws SystemError */
  constructor() {
    const made: number[] = [];
    const make = (name: string, options: MapOptions): number => {
      made.push(bpfMapCreate({ ...options, valueBytes: 4, name: `lbd_${name}` }));
      return made.at(-1)!;
    };
    const keyed = (name: KeyedMap): number => {
      const keyBytes = KEY_BYTES[name];
      if (name.startsWith('fragments')) return make(name, { type: 'lruHash', keyBytes, entries: FRAGMENT_ENTRIES });
      const type = name.startsWith('vips') ? 'lpmTrie' : 'hash';
      return make(name, { type, keyBytes, entries: ENTRIES, flags: BPF_F_NO_PREALLOC });
    };
    try {
      const names = Object.keys(KEY_BYTES) as KeyedMap[];
      const maps = Object.fromEntries(names.map((name) => [name, keyed(name)])) as Record<KeyedMap, number>;
      this.maps = { ...maps, switches: make('switches', { type: 'array', keyBytes: 4, entries: MAX_INTERFACES }) };
    } catch (error) {
      made.forEach(close);
      throw error;
    }
  }

  addPrefix(prefix: string): void {
    this.#add(...prefixKey(prefix));
  }

  removePrefix(prefix: string): void {
    this.#remove(...prefixKey(prefix));
  }

  addReturn(address: string, protocol: number, port: number): void {
    const { returns, servers } = returnKeys(address, protocol, port);
    this.#add(...servers);
    try {
      this.#add(...returns);
    } catch (error) {
      this.#remove(...servers);
      throw error;
    }
  }

  removeReturn(address: string, protocol: number, port: number): void {
    const { returns, servers } = returnKeys(address, protocol, port);
    this.#remove(...returns);
    this.#remove(...servers);
  }

  setNat(interfaceIndex: number, family: 4 | 6, on: boolean): void {
    if (!(interfaceIndex >= 0 && interfaceIndex < MAX_INTERFACES)) {
      throw new RangeError(`interface ${interfaceIndex}: must be from 0 to ${MAX_INTERFACES - 1}`);
    }
    const bit = family === 4 ? NAT4_BIT : NAT6_BIT;
    const bits = on ? this.#nat[interfaceIndex]! | bit : this.#nat[interfaceIndex]! & ~bit;
    this.#setSwitches(interfaceIndex, bits);
    this.#nat[interfaceIndex] = bits;
  }

  addNodePort(family: 4 | 6, protocol: number, port: number): void {
    this.#add('ports', portKey(family, protocol, port));
    this.#count(family === 4 ? PORTS4_BIT : PORTS6_BIT, 1);
  }

  removeNodePort(family: 4 | 6, protocol: number, port: number): void {
    const there = this.#remove('ports', portKey(family, protocol, port));
    if (there) this.#count(family === 4 ? PORTS4_BIT : PORTS6_BIT, -1);
  }

  addLocalAddress(address: string): void {
    this.#add(...addressKey('locals', address));
  }

  removeLocalAddress(address: string): void {
    this.#remove(...addressKey('locals', address));
  }

  addTunnelSource(address: string): void {
    const [map, key] = addressKey('tunnels', address);
    this.#add(map, key);
    this.#count(key.length === 4 ? TUNNELS4_BIT : TUNNELS6_BIT, 1);
  }

  removeTunnelSource(address: string): void {
    const [map, key] = addressKey('tunnels', address);
    if (this.#remove(map, key)) this.#count(key.length === 4 ? TUNNELS4_BIT : TUNNELS6_BIT, -1);
  }

  close(): void {
    for (const fd of Object.values(this.maps)) close(fd);
  }

  #add(map: KeyedMap, key: Uint8Array): void {
    const id = `${map} ${key}`;
    const count = (this.#added.get(id) ?? 0) + 1;
    if (count === 1) bpfMapUpdate(this.maps[map], key, word(1));
    this.#added.set(id, count);
  }

  /** What was never added is not there to be removed: that is no error. @returns whether it was there */
  #remove(map: KeyedMap, key: Uint8Array): boolean {
    const id = `${map} ${key}`;
    const count = (this.#added.get(id) ?? 0) - 1;
    if (count > 0) {
      this.#added.set(id, count);
    } else if (count === 0) {
      bpfMapDelete(this.maps[map], key);
      this.#added.delete(id);
    }
    return count >= 0;
  }

  /** So many more there are of what the bit stands for. */
  #count(bit: number, more: number): void {
    const before = this.#any.get(bit) ?? 0;
    this.#any.set(bit, before + more);
    if (before > 0 === before + more > 0) return;
    for (const [interfaceIndex, bits] of this.#nat.entries()) this.#setSwitches(interfaceIndex, bits);
  }

  #setSwitches(interfaceIndex: number, nat: number): void {
    let bits = nat;
    for (const [bit, count] of this.#any) if (count > 0) bits |= bit;
    bpfMapUpdate(this.maps.switches, word(interfaceIndex), word(bits));
  }
}

function prefixKey(text: string): [KeyedMap, Uint8Array] {
  const { family, bytes, length } = parsePrefix(text);
  return [family === 4 ? 'vips4' : 'vips6', Uint8Array.of(...word(length), ...bytes)];
}

function returnKeys(
  text: string,
  protocol: number,
  port: number,
): { returns: [KeyedMap, Uint8Array]; servers: [KeyedMap, Uint8Array] } {
  const address = addressBytes(text);
  const key = Uint8Array.of(...address, port >> 8, port & 0xff, protocol, 0);
  return address.length === 4
    ? { returns: ['returns4', key], servers: ['servers4', address] }
    : { returns: ['returns6', key], servers: ['servers6', address] };
}

function portKey(family: 4 | 6, protocol: number, port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff, protocol, family);
}

function addressKey(kind: 'locals' | 'tunnels', text: string): [KeyedMap, Uint8Array] {
  const address = addressBytes(text);
  return [`${kind}${address.length === 4 ? 4 : 6}`, address];
}

/** A u32 as the kernel reads it here. */
function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
