import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import * as F from './format.ts';
import { PcapError } from './pcap-error.ts';

export interface PcapPacket {
  /** When it was captured, nanoseconds since 1970. */
  readonly time: bigint;
  /** What was captured, from the Ethernet header on. Valid until the next packet is read. */
  readonly bytes: Uint8Array;
  /** Its length on the wire, bytes; more than what was captured if the capture cut it short. */
  readonly originalLength: number;
}

interface Header {
  readonly littleEndian: boolean;
  readonly nanoseconds: boolean;
}

const CHUNK = 1 << 20;

/**
 * Reads a classic pcap file, packet by packet, in constant memory: both byte orders, micro- and nanoseconds, link type
 * Ethernet.
 */
export class PcapReader implements Iterable<PcapPacket> {
  /** Fractions of a second in the file are nanoseconds. */
  readonly nanoseconds: boolean;
  readonly #name: string;
  readonly #fd: number | undefined;
  readonly #header: Header;
  #chunk: Uint8Array;
  #view: DataView;
  /** What is read and not yet used: chunk[start .. end). */
  #start = 0;
  #end = 0;
  /** File offset of chunk[end]. */
  #offset = 0;
  #packets = 0;

  private constructor(name: string, fd: number | undefined, chunk: Uint8Array, end: number) {
    this.#name = name;
    this.#fd = fd;
    this.#chunk = chunk;
    this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#end = end;
    this.#offset = end;
    this.#header = this.#readHeader();
    this.nanoseconds = this.#header.nanoseconds;
  }

  /**
   * Opens a file.
   * @throws PcapError if it is not a pcap file of Ethernet packets; the system's error if it cannot be opened
   */
  static open(path: string): PcapReader {
    const fd = openSync(path, 'r');
    try {
      if (fstatSync(fd).isDirectory()) throw new PcapError('LBD_PCAP_FORMAT', `${path}: is a directory`);
      return new PcapReader(path, fd, new Uint8Array(CHUNK), 0);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Reads a capture that is in memory already. @throws PcapError */
  static parse(bytes: Uint8Array, name = 'capture'): PcapReader {
    return new PcapReader(name, undefined, bytes, bytes.length);
  }

  /**
   * The next packet, or undefined at the end of the file.
   * @throws PcapError if the file ends within a packet or a length is impossible
   */
  next(): PcapPacket | undefined {
    const rest = this.#need(F.PACKET_HEADER_BYTES);
    if (rest === 0) return undefined;
    if (rest < F.PACKET_HEADER_BYTES) throw this.#truncated(`${rest} of ${F.PACKET_HEADER_BYTES} header bytes`);
    const captured = this.#u32(F.PACKET_CAPTURED);
    if (captured > F.MAX_PACKET_BYTES) {
      throw new PcapError(
        'LBD_PCAP_CORRUPT',
        `${this.#name}: packet ${this.#packets + 1} claims ${captured} bytes; at most ${F.MAX_PACKET_BYTES} are possible`,
      );
    }
    const size = F.PACKET_HEADER_BYTES + captured;
    const there = this.#need(size);
    if (there < size) throw this.#truncated(`${there - F.PACKET_HEADER_BYTES} of ${captured} bytes`);
    const fraction = BigInt(this.#u32(F.PACKET_FRACTION)) * (this.nanoseconds ? 1n : 1000n);
    const time = BigInt(this.#u32(F.PACKET_SECONDS)) * 1_000_000_000n + fraction;
    const originalLength = this.#u32(F.PACKET_ORIGINAL);
    const bytes = this.#chunk.subarray(this.#start + F.PACKET_HEADER_BYTES, this.#start + size);
    this.#start += size;
    this.#packets++;
    return { time, bytes, originalLength };
  }

  *[Symbol.iterator](): Iterator<PcapPacket> {
    for (let packet = this.next(); packet; packet = this.next()) yield packet;
  }

  /** Goes back to the first packet. */
  rewind(): void {
    this.#packets = 0;
    if (this.#fd === undefined) {
      this.#start = F.FILE_HEADER_BYTES;
      return;
    }
    this.#start = 0;
    this.#end = 0;
    this.#offset = F.FILE_HEADER_BYTES;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  #readHeader(): Header {
    const there = this.#need(F.FILE_HEADER_BYTES);
    if (there < 4) throw this.#notPcap(`has ${there} bytes`);
    const magic = this.#view.getUint32(this.#start, true);
    if (magic === F.MAGIC_PCAPNG) {
      throw new PcapError(
        'LBD_PCAP_FORMAT',
        `${this.#name}: is a pcapng file; classic pcap is needed: convert it with "editcap -F pcap IN OUT"`,
      );
    }
    const swapped = this.#view.getUint32(this.#start, false);
    const known: number[] = [F.MAGIC_MICROSECONDS, F.MAGIC_NANOSECONDS];
    if (!known.includes(magic) && !known.includes(swapped)) {
      throw this.#notPcap(`starts with 0x${swapped.toString(16).padStart(8, '0')}`);
    }
    const littleEndian = known.includes(magic);
    if (there < F.FILE_HEADER_BYTES) {
      throw new PcapError(
        'LBD_PCAP_TRUNCATED',
        `${this.#name}: ends after ${there} bytes, within the file header of ${F.FILE_HEADER_BYTES}`,
      );
    }
    const word = (at: number): number => this.#view.getUint32(this.#start + at, littleEndian);
    const major = this.#view.getUint16(this.#start + F.FILE_MAJOR, littleEndian);
    if (major !== 2) throw this.#notPcap(`has version ${major}, and 2 is known`);
    const linktype = word(F.FILE_LINKTYPE) & F.LINKTYPE_MASK;
    if (linktype !== F.LINKTYPE_ETHERNET) {
      throw new PcapError(
        'LBD_PCAP_LINKTYPE',
        `${this.#name}: link type ${linktype}; Ethernet (${F.LINKTYPE_ETHERNET}) is needed`,
      );
    }
    this.#start += F.FILE_HEADER_BYTES;
    return { littleEndian, nanoseconds: (littleEndian ? magic : swapped) === F.MAGIC_NANOSECONDS };
  }

  /** Makes `bytes` bytes readable from chunk[start]; returns how many there are, fewer at the end of the file. */
  #need(bytes: number): number {
    if (this.#end - this.#start >= bytes || this.#fd === undefined) return this.#end - this.#start;
    this.#chunk.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    while (this.#end < bytes) {
      const read = readSync(this.#fd, this.#chunk, this.#end, this.#chunk.length - this.#end, this.#offset);
      if (read === 0) break;
      this.#end += read;
      this.#offset += read;
    }
    return this.#end;
  }

  #u32(at: number): number {
    return this.#view.getUint32(this.#start + at, this.#header.littleEndian);
  }

  #truncated(what: string): PcapError {
    return new PcapError('LBD_PCAP_TRUNCATED', `${this.#name}: ends within packet ${this.#packets + 1}, after ${what}`);
  }

  #notPcap(why: string): PcapError {
    return new PcapError('LBD_PCAP_FORMAT', `${this.#name}: not a pcap file: ${why}`);
  }
}
