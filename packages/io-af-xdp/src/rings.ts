import type { Memory } from '@lbd/memory';
import { type RingOffsets, unmap, type XdpRing, xdpMapRing, xdpRingRoom, xdpSetRingSize } from '@lbd/native';
import * as L from './layout.ts';

export type RingSizes = Readonly<Record<XdpRing, number>>;

const RINGS: readonly XdpRing[] = ['rx', 'tx', 'fill', 'completion'];

/** A mapped ring: where in the linear memory its parts are. */
interface MappedRing {
  readonly address: number;
  readonly offsets: RingOffsets;
  readonly mask: number;
}

/**
 * The room of a queue: page-aligned space for its four rings, and its queue block. The linear memory takes nothing back, so
 * a room is kept for the next queue with rings of the same sizes.
 */
export class QueueRoom {
  readonly block: number;
  readonly sizes: RingSizes;
  readonly #memory: Memory;
  readonly #rings: Readonly<Record<XdpRing, number>>;

  constructor(memory: Memory, sizes: RingSizes, allocate: (label: string, bytes: number, align?: number) => number) {
    this.#memory = memory;
    this.sizes = sizes;
    this.block = allocate('queue block', L.QUEUE_BYTES);
    const place = (ring: XdpRing) => allocate(`${ring} ring`, xdpRingRoom(ring, sizes[ring]), 4096);
    this.#rings = { rx: place('rx'), tx: place('tx'), fill: place('fill'), completion: place('completion') };
  }

  /**
   * Sets the socket's ring sizes, maps its rings into the room and describes them in the queue block.
   * @throws SystemError, and then nothing is mapped
   */
  map(fd: number, interfaceIndex: number): void {
    try {
      const mapped = Object.fromEntries(RINGS.map((ring) => [ring, this.#mapRing(fd, ring)]));
      this.#describe(mapped as Record<XdpRing, MappedRing>, interfaceIndex);
    } catch (error) {
      this.unmap();
      throw error;
    }
  }

  /** Ordinary memory again. A mapping keeps the socket alive, and its queue busy: unmap before closing it. */
  unmap(): void {
    for (const ring of RINGS) unmap(this.#view(ring));
  }

  #mapRing(fd: number, ring: XdpRing): MappedRing {
    const entries = this.sizes[ring];
    xdpSetRingSize(fd, ring, entries);
    return { address: this.#rings[ring], offsets: xdpMapRing(fd, ring, entries, this.#view(ring)), mask: entries - 1 };
  }

  #describe(rings: Record<XdpRing, MappedRing>, interfaceIndex: number): void {
    const block = this.#memory.u32.subarray(this.block >>> 2, (this.block + L.QUEUE_BYTES) >>> 2).fill(0);
    const set = (offset: number, value: number) => {
      block[offset >> 2] = value;
    };
    const ring = ({ address, offsets, mask }: MappedRing, producer: number) => {
      set(producer, address + offsets.producer);
      set(producer + 4, address + offsets.consumer);
      set(producer + 8, address + offsets.descriptors);
      set(producer + 12, mask);
    };
    set(L.QUEUE_INTERFACE, interfaceIndex);
    ring(rings.rx, L.RX_PRODUCER);
    ring(rings.tx, L.TX_PRODUCER);
    ring(rings.fill, L.FILL_PRODUCER);
    ring(rings.completion, L.COMPLETION_PRODUCER);
    set(L.TX_FLAGS, rings.tx.address + rings.tx.offsets.flags);
    set(L.FILL_FLAGS, rings.fill.address + rings.fill.offsets.flags);
  }

  #view(ring: XdpRing): Uint8Array {
    return this.#memory.u8.subarray(this.#rings[ring], this.#rings[ring] + xdpRingRoom(ring, this.sizes[ring]));
  }
}

/** Rooms that are not in use, to be used again. */
export class QueueRooms {
  readonly #make: (sizes: RingSizes) => QueueRoom;
  readonly #spare = new Map<string, QueueRoom[]>();

  constructor(make: (sizes: RingSizes) => QueueRoom) {
    this.#make = make;
  }
  take(sizes: RingSizes): QueueRoom {
    return this.#spare.get(key(sizes))?.pop() ?? this.#make(sizes);
  }
  giveBack(room: QueueRoom): void {
    const spare = this.#spare.get(key(room.sizes)) ?? [];
    spare.push(room);
    this.#spare.set(key(room.sizes), spare);
  }
}

const key = (sizes: RingSizes): string => RINGS.map((ring) => sizes[ring]).join();
