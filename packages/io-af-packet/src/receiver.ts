import {
  PACKET_INFO_LENGTH,
  PACKET_INFO_OFFLOAD,
  PACKET_INFO_SEGMENT,
  PACKET_INFO_WIRE_LENGTH,
  PACKET_INFO_WORDS,
  type PacketSocket,
} from '@lbd/native';
import { type Cut, planCut, writeSegment } from './segment.ts';

/** Packets that are received in one call. */
const BATCH = 64;
/** Room for each: the largest packet of segmentation offload, and its Ethernet header. */
const SLOT = 65536 + 64;

/**
 * Receives from the sockets of a worker in turn and gives out one frame at a time. A packet may be up to 64 KiB long when
 * its sender's segmentation offload is on, so packets are received into an area of their own, and cut.
 */
export class Receiver {
  readonly #sockets: readonly { readonly index: number; readonly socket: PacketSocket }[];
  readonly #room: number;
  readonly #area: Uint8Array;
  readonly #addresses: Uint32Array;
  readonly #info: Uint32Array;
  /** Socket whose packets are in the area, and which of them is next. */
  #current = 0;
  #count = 0;
  #next = 0;
  /** The packet that is being cut. */
  #packet: Uint8Array = new Uint8Array(0);
  #cut: Cut | undefined;
  #segment = 0;
  /** Packets lost since it was last set to 0: too big for a frame. */
  tooBig = 0;

  /** @param room longest frame, bytes */
  constructor(sockets: readonly { readonly index: number; readonly socket: PacketSocket }[], room: number) {
    this.#sockets = sockets;
    this.#room = room;
    const slots = sockets.length === 0 ? 0 : BATCH;
    this.#area = new Uint8Array(slots * SLOT);
    this.#addresses = Uint32Array.from({ length: slots }, (_, i) => i * SLOT);
    this.#info = new Uint32Array(slots * PACKET_INFO_WORDS);
  }

  /** Interface index of the frame that take() gave. */
  get index(): number {
    return this.#sockets[this.#current]!.index;
  }

  /** True if a frame is there without receiving. */
  get pending(): boolean {
    return this.#cut !== undefined || this.#next < this.#count;
  }

  /** Sees to it that there is a frame, from any socket; false if there is none now. */
  ready(): boolean {
    for (let tries = 0; !this.pending && tries < this.#sockets.length; tries++) {
      this.#current = (this.#current + 1) % this.#sockets.length;
      const { socket } = this.#sockets[this.#current]!;
      this.#count = this.#receive(socket);
      this.#next = 0;
    }
    return this.pending;
  }

  /** A socket tells once that its interface went down. It has no packets then, and will have some when it is up again. */
  #receive(socket: PacketSocket): number {
    try {
      return socket.receive(this.#area, this.#addresses, BATCH, SLOT, this.#info);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENETDOWN') return 0;
      throw error;
    }
  }

  /** Writes the next frame to memory and returns its length; 0 if it was lost. Only after ready(). */
  take(memory: Uint8Array, address: number): number {
    if (!this.#cut) {
      const info = this.#next * PACKET_INFO_WORDS;
      const length = this.#info[info + PACKET_INFO_LENGTH]!;
      this.#packet = this.#area.subarray(this.#next * SLOT, this.#next * SLOT + length);
      this.#next++;
      const type = (this.#info[info + PACKET_INFO_OFFLOAD]! >>> 8) & 0xff;
      const whole = this.#info[info + PACKET_INFO_WIRE_LENGTH] === length;
      if (length <= this.#room && type === 0 && whole) {
        memory.set(this.#packet, address);
        return length;
      }
      const size = this.#info[info + PACKET_INFO_SEGMENT]! & 0xffff;
      this.#cut = whole ? planCut(this.#packet, type, size, this.#room) : undefined;
      this.#segment = 0;
      if (!this.#cut) {
        this.tooBig++;
        return 0;
      }
    }
    const cut = this.#cut;
    const length = writeSegment(this.#packet, cut, this.#segment, memory.subarray(address, address + this.#room));
    if (++this.#segment === cut.segments) this.#cut = undefined;
    return length;
  }
}
