/** Big-endian accessors: unchecked, for offsets that a parser has validated. */
export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
export function set16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
export function get32(bytes: Uint8Array, at: number): number {
  return (get16(bytes, at) * 0x10000 + get16(bytes, at + 2)) >>> 0;
}
export function set32(bytes: Uint8Array, at: number, value: number): void {
  set16(bytes, at, value >>> 16);
  set16(bytes, at + 2, value & 0xffff);
}
