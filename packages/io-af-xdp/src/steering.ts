import { MAX_INTERFACES } from '@lbd/graph';
import type { Steering } from '@lbd/io';
import { bpfMapCreate, bpfMapDelete, bpfMapUpdate, close } from '@lbd/native';
import { addressBytes, parsePrefix } from '@lbd/packet';
import { KEY_BYTES, NAT4_BIT, NAT6_BIT, type SteeringMaps } from './xdp-program.ts';

/** Elements of a map, at most. Memory is taken as they come. */
const ENTRIES = 65536;
const BPF_F_NO_PREALLOC = 1;

type KeyedMap = keyof typeof KEY_BYTES;

/**
 * The maps that the XDP programs of all interfaces look into. Two owners may want the same element (VIPs that share a
 * server and port), so each addition is counted, and the element goes with the last removal.
 */
export class XdpSteering implements Steering {
  readonly maps: SteeringMaps;
  readonly #added = new Map<string, number>();
  readonly #nat = new Uint32Array(MAX_INTERFACES);

  /** @throws SystemError */
  constructor() {
    const made: number[] = [];
    const make = (name: KeyedMap, type: 'hash' | 'lpmTrie'): number => {
      const options = { type, keyBytes: KEY_BYTES[name], valueBytes: 4, entries: ENTRIES, flags: BPF_F_NO_PREALLOC };
      made.push(bpfMapCreate({ ...options, name: `lbd_${name}` }));
      return made.at(-1)!;
    };
    try {
      this.maps = {
        vips4: make('vips4', 'lpmTrie'),
        vips6: make('vips6', 'lpmTrie'),
        returns4: make('returns4', 'hash'),
        returns6: make('returns6', 'hash'),
        servers4: make('servers4', 'hash'),
        servers6: make('servers6', 'hash'),
        nat: bpfMapCreate({ type: 'array', keyBytes: 4, valueBytes: 4, entries: MAX_INTERFACES, name: 'lbd_nat' }),
      };
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
    bpfMapUpdate(this.maps.nat, word(interfaceIndex), word(bits));
    this.#nat[interfaceIndex] = bits;
  }

  addNodePort(_family: 4 | 6, _protocol: number, _port: number): void {}

  removeNodePort(_family: 4 | 6, _protocol: number, _port: number): void {}

  addLocalAddress(_address: string): void {}

  removeLocalAddress(_address: string): void {}

  addTunnelSource(_address: string): void {}

  removeTunnelSource(_address: string): void {}

  close(): void {
    for (const fd of Object.values(this.maps)) close(fd);
  }

  #add(map: KeyedMap, key: Uint8Array): void {
    const id = `${map} ${key}`;
    const count = (this.#added.get(id) ?? 0) + 1;
    if (count === 1) bpfMapUpdate(this.maps[map], key, word(1));
    this.#added.set(id, count);
  }

  /** What was never added is not there to be removed: that is no error. */
  #remove(map: KeyedMap, key: Uint8Array): void {
    const id = `${map} ${key}`;
    const count = (this.#added.get(id) ?? 0) - 1;
    if (count > 0) {
      this.#added.set(id, count);
    } else if (count === 0) {
      bpfMapDelete(this.maps[map], key);
      this.#added.delete(id);
    }
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

/** A u32 as the kernel reads it here. */
function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
