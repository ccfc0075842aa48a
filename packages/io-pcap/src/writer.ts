import { closeSync, openSync, writeSync } from 'node:fs';
import * as F from './format.ts';

/** Bytes that are gathered before they are written. */
const CHUNK = 1 << 18;

/** The header of a capture file: little-endian, nanoseconds, Ethernet. */
export function fileHeader(): Uint8Array {
  const bytes = new Uint8Array(F.FILE_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, F.MAGIC_NANOSECONDS, true);
  view.setUint16(F.FILE_MAJOR, 2, true);
  view.setUint16(F.FILE_MAJOR + 2, 4, true);
  view.setUint32(F.FILE_SNAPLEN, F.MAX_PACKET_BYTES, true);
  view.setUint32(F.FILE_LINKTYPE, F.LINKTYPE_ETHERNET, true);
  return bytes;
}

/** Writes a classic pcap file: little-endian, nanoseconds, link type Ethernet. */
export class PcapWriter {
  readonly #fd: number;
  readonly #owned: boolean;
  readonly #chunk = new Uint8Array(CHUNK);
  readonly #view = new DataView(this.#chunk.buffer);
  #used = 0;

  private constructor(fd: number, owned: boolean) {
    this.#fd = fd;
    this.#owned = owned;
  }

  /** Makes a file, or empties the one that is there. @throws the system's error */
  static create(path: string): PcapWriter {
    const fd = openSync(path, 'w');
    writeAll(fd, fileHeader());
    return new PcapWriter(fd, true);
  }

  /** Goes on writing to a file that has its header already; close() leaves the file descriptor open. */
  static append(fd: number): PcapWriter {
    return new PcapWriter(fd, false);
  }

  /**
   * Writes a packet; it is in the file after the next flush().
   * @param time nanoseconds since 1970
   * @param bytes from the Ethernet header on, MAX_PACKET_BYTES at most
   */
  write(time: bigint, bytes: Uint8Array): void {
    const size = F.PACKET_HEADER_BYTES + bytes.length;
    if (bytes.length > F.MAX_PACKET_BYTES) {
      throw new RangeError(`a packet of ${bytes.length} bytes: at most ${F.MAX_PACKET_BYTES} fit a capture file`);
    }
    if (size > CHUNK - this.#used) this.flush();
    if (size > CHUNK) {
      const alone = new Uint8Array(size);
      this.#put(new DataView(alone.buffer), 0, time, bytes.length);
      alone.set(bytes, F.PACKET_HEADER_BYTES);
      writeAll(this.#fd, alone);
      return;
    }
    this.#put(this.#view, this.#used, time, bytes.length);
    this.#chunk.set(bytes, this.#used + F.PACKET_HEADER_BYTES);
    this.#used += size;
  }

  /** Writes what was gathered to the file. */
  flush(): void {
    if (this.#used === 0) return;
    writeAll(this.#fd, this.#chunk.subarray(0, this.#used));
    this.#used = 0;
  }

  close(): void {
    this.flush();
    if (this.#owned) closeSync(this.#fd);
  }

  #put(view: DataView, at: number, time: bigint, length: number): void {
    view.setUint32(at + F.PACKET_SECONDS, Number(time / 1_000_000_000n), true);
    view.setUint32(at + F.PACKET_FRACTION, Number(time % 1_000_000_000n), true);
    view.setUint32(at + F.PACKET_CAPTURED, length, true);
    view.setUint32(at + F.PACKET_ORIGINAL, length, true);
  }
}

/** write(2) may take less than it is given. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}
