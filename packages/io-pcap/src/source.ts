import type { PcapPacket } from './reader.ts';
import { PcapReader } from './reader.ts';

/** The input file of a port, with a look at its next packet. */
export class Source {
  /** Interface index of the port. */
  readonly index: number;
  readonly #reader: PcapReader;
  readonly #loop: boolean;
  #next: PcapPacket | undefined;
  #first: bigint | undefined;
  #last = 0n;
  /** Added to timestamps: what former rounds took. */
  #shift = 0n;

  constructor(index: number, path: string, loop: boolean) {
    this.index = index;
    this.#loop = loop;
    this.#reader = PcapReader.open(path);
  }

  /** The next packet without taking it; undefined at the end. @throws PcapError */
  peek(): PcapPacket | undefined {
    if (this.#next) return this.#next;
    let packet = this.#reader.next();
    if (!packet && this.#loop && this.#first !== undefined) {
      this.#reader.rewind();
      // A microsecond between the rounds, so that time goes on.
      this.#shift += this.#last - this.#first + 1000n;
      packet = this.#reader.next();
    }
    if (!packet) return undefined;
    this.#first ??= packet.time;
    this.#last = packet.time;
    this.#next = this.#shift === 0n ? packet : { ...packet, time: packet.time + this.#shift };
    return this.#next;
  }

  /** The packet that peek() showed. */
  get packet(): PcapPacket {
    return this.#next!;
  }

  /** Goes on to the packet after it. */
  take(): void {
    this.#next = undefined;
  }

  close(): void {
    this.#reader.close();
  }
}
