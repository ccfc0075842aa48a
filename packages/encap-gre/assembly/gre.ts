/** The GRE header (RFC 2784): no checksum, version 0, and the EtherType of the packet inside. */

/** As a word that is stored little-endian. The packet's version is 4 or 6, which differ in one bit. */
// @ts-ignore: decorator
@inline export function greHeader(ip: usize): u32 {
  return (load<u8>(ip) & 0x20) != 0 ? 0xdd860000 : 0x00080000;
}
