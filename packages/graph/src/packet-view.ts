import type { Memory } from '@lbd/memory';
import * as L from './layout.ts';

/** One buffer, seen from TypeScript: its metadata as properties, its bytes from the current header on. */
export class PacketView {
  readonly #memory: Memory;
  readonly #frames: number;
  readonly #metadata: number;
  #meta = 0;
  /** Buffer index. */
  buffer = 0;

  constructor(memory: Memory, frames: number, metadata: number) {
    this.#memory = memory;
    this.#frames = frames;
    this.#metadata = metadata;
  }

  /** Makes this a view of another buffer. */
  at(buffer: number): this {
    this.buffer = buffer;
    this.#meta = this.#metadata + (buffer << L.METADATA_SHIFT);
    return this;
  }

  /** Address of the current header. */
  get address(): number {
    return this.#frames + buffer2frame(this.buffer) + this.data;
  }
  /** The packet from its current header to its end. */
  get bytes(): Uint8Array<SharedArrayBuffer> {
    return this.#memory.u8.subarray(this.address, this.address + this.length);
  }
  /** Offset of the current header in the frame. */
  get data(): number {
    return this.#u16(L.META_DATA);
  }
  set data(offset: number) {
    this.#set16(L.META_DATA, offset);
  }
  get length(): number {
    return this.#u16(L.META_LENGTH);
  }
  set length(bytes: number) {
    this.#set16(L.META_LENGTH, bytes);
  }
  get rx(): number {
    return this.#u16(L.META_RX);
  }
  set rx(index: number) {
    this.#set16(L.META_RX, index);
  }
  get tx(): number {
    return this.#u16(L.META_TX);
  }
  set tx(index: number) {
    this.#set16(L.META_TX, index);
  }
  get flags(): number {
    return this.#u16(L.META_FLAGS);
  }
  set flags(bits: number) {
    this.#set16(L.META_FLAGS, bits);
  }
  get dpo(): number {
    return this.#u32(L.META_DPO);
  }
  set dpo(word: number) {
    this.#set32(L.META_DPO, word);
  }
  get hash(): number {
    return this.#u32(L.META_HASH);
  }
  set hash(value: number) {
    this.#set32(L.META_HASH, value);
  }
  get as(): number {
    return this.#u32(L.META_AS);
  }
  set as(index: number) {
    this.#set32(L.META_AS, index);
  }
  get l4(): number {
    return this.#u16(L.META_L4);
  }
  set l4(offset: number) {
    this.#set16(L.META_L4, offset);
  }
  get protocol(): number {
    return this.#memory.u8[this.#meta + L.META_PROTOCOL]!;
  }
  set protocol(number: number) {
    this.#memory.u8[this.#meta + L.META_PROTOCOL] = number;
  }
  get reason(): number {
    return this.#u16(L.META_REASON);
  }
  set reason(counter: number) {
    this.#set16(L.META_REASON, counter);
  }
  get opaque(): number {
    return this.#u32(L.META_OPAQUE);
  }
  set opaque(word: number) {
    this.#set32(L.META_OPAQUE, word);
  }

  /** Makes the metadata that of a packet just received. */
  received(interfaceIndex: number, data: number, length: number): void {
    this.#memory.u8.fill(0, this.#meta, this.#meta + L.METADATA_BYTES);
    this.rx = interfaceIndex;
    this.data = data;
    this.length = length;
  }

  #u16(offset: number): number {
    return this.#memory.u16[(this.#meta + offset) >>> 1]!;
  }
  #set16(offset: number, value: number): void {
    this.#memory.u16[(this.#meta + offset) >>> 1] = value;
  }
  #u32(offset: number): number {
    return this.#memory.u32[(this.#meta + offset) >>> 2]!;
  }
  #set32(offset: number, value: number): void {
    this.#memory.u32[(this.#meta + offset) >>> 2] = value;
  }
}

/** Offset of a buffer's frame; a multiplication, since a shift would overflow past 2 GiB. */
function buffer2frame(buffer: number): number {
  return buffer * L.FRAME_BYTES;
}
