import { VECTOR_SIZE } from '@lbd/graph';
import { PACKET_OFFLOAD_WORDS, type PacketSocket } from '@lbd/native';

const EMSGSIZE = 90;
const EINVAL = 22;

/** No offloads: the packets are complete. */
const PLAIN = new Uint32Array(VECTOR_SIZE * PACKET_OFFLOAD_WORDS);

/** Gathers the packets of a vector that leave on one port, and sends them in one call. */
export class Sender {
  readonly #socket: PacketSocket;
  readonly #addresses = new Uint32Array(VECTOR_SIZE);
  readonly #lengths = new Uint32Array(VECTOR_SIZE);
  #count = 0;
  #bytes = 0;
  /** Of the last send(). */
  sent = 0;
  sentBytes = 0;
  lost = 0;

  constructor(socket: PacketSocket) {
    this.#socket = socket;
  }

  get count(): number {
    return this.#count;
  }

  add(address: number, length: number): void {
    this.#addresses[this.#count] = address;
    this.#lengths[this.#count++] = length;
    this.#bytes += length;
  }

  /** Sends what was added. Packets that the kernel has no room for, or refuses, are lost: see `sent` and `lost`. */
  send(memory: Uint8Array): void {
    this.lost = 0;
    this.sentBytes = this.#bytes;
    let at = 0;
    while (at < this.#count) {
      const n = this.#socket.send(memory, this.#addresses, this.#lengths, at, this.#count - at, PLAIN);
      if (n > 0) {
        at += n;
        continue;
      }
      // A packet that is at fault itself is passed over; else (no room, interface down) none of the rest can be sent.
      const end = n === -EMSGSIZE || n === -EINVAL ? at + 1 : this.#count;
      for (; at < end; at++) {
        this.lost++;
        this.sentBytes -= this.#lengths[at]!;
      }
    }
    this.sent = this.#count - this.lost;
    this.#count = 0;
    this.#bytes = 0;
  }
}
