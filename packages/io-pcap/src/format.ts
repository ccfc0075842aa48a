/**
 * The classic capture file format (draft-ietf-opsawg-pcap), as libpcap writes it. All words have the byte order of the
 * machine that wrote the file; the magic number tells which.
 *
 * File header, 24 bytes: u32 magic, u16 major version, u16 minor version, u32 reserved, u32 reserved, u32 snap length,
 * u32 link type (low 28 bits; the top ones tell of a frame check sequence).
 * Packet header, 16 bytes: u32 seconds since 1970, u32 micro- or nanoseconds, u32 captured length, u32 original length.
 */
export const FILE_HEADER_BYTES = 24;
export const FILE_MAJOR = 4;
export const FILE_SNAPLEN = 16;
export const FILE_LINKTYPE = 20;

export const PACKET_HEADER_BYTES = 16;
export const PACKET_SECONDS = 0;
export const PACKET_FRACTION = 4;
export const PACKET_CAPTURED = 8;
export const PACKET_ORIGINAL = 12;

/** Fractions of a second are microseconds. */
export const MAGIC_MICROSECONDS = 0xa1b2c3d4;
/** Fractions of a second are nanoseconds. */
export const MAGIC_NANOSECONDS = 0xa1b23c4d;
/** First block type of a pcapng file, the same in both byte orders. */
export const MAGIC_PCAPNG = 0x0a0d0d0a;

export const LINKTYPE_ETHERNET = 1;
export const LINKTYPE_MASK = 0x0fffffff;

/** Longest packet that is believed; the limit of libpcap. */
export const MAX_PACKET_BYTES = 262144;
