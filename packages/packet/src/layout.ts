/**
 * Where the fields of each protocol are, for TypeScript and kernels alike: byte offsets from the start of its header.
 * All fields are big-endian on the wire.
 */

// ---- Ethernet (IEEE 802.3) -----------------------------------------------------------------------------------------

/** 6 bytes. */
export const ETHERNET_DESTINATION = 0;
/** 6 bytes. */
export const ETHERNET_SOURCE = 6;
/** u16. */
export const ETHERNET_TYPE = 12;
export const ETHERNET_BYTES = 14;
export const ETHERTYPE_IP4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_QINQ = 0x88a8;
export const ETHERTYPE_IP6 = 0x86dd;

// ---- ARP for Ethernet and IPv4 (RFC 826) ---------------------------------------------------------------------------

/** u16: 1 is Ethernet. */
export const ARP_HARDWARE = 0;
/** u16: an EtherType. */
export const ARP_PROTOCOL = 2;
/** u8: 6. */
export const ARP_HARDWARE_BYTES = 4;
/** u8: 4. */
export const ARP_PROTOCOL_BYTES = 5;
/** u16: 1 request, 2 reply. */
export const ARP_OPERATION = 6;
/** 6 bytes. */
export const ARP_SENDER_MAC = 8;
/** 4 bytes. */
export const ARP_SENDER_IP = 14;
/** 6 bytes. */
export const ARP_TARGET_MAC = 18;
/** 4 bytes. */
export const ARP_TARGET_IP = 24;
export const ARP_BYTES = 28;

// ---- IPv4 (RFC 791) ------------------------------------------------------------------------------------------------

/** u8: version in the high four bits, header length in 4-byte words in the low four. */
export const IP4_VERSION_IHL = 0;
/** u8: DSCP in the high six bits (RFC 2474), ECN in the low two (RFC 3168). */
export const IP4_TOS = 1;
/** u16: bytes of header and payload. */
export const IP4_LENGTH = 2;
/** u16. */
export const IP4_ID = 4;
/** u16: flags in the high three bits, offset in 8-byte units in the low thirteen. */
export const IP4_FRAGMENT = 6;
/** u8. */
export const IP4_TTL = 8;
/** u8. */
export const IP4_PROTOCOL = 9;
/** u16: over the header. */
export const IP4_CHECKSUM = 10;
/** 4 bytes. */
export const IP4_SOURCE = 12;
/** 4 bytes. */
export const IP4_DESTINATION = 16;
/** Bytes of a header without options. */
export const IP4_BYTES = 20;
/** Bytes of the longest header. */
export const IP4_MAX_BYTES = 60;
/** In IP4_FRAGMENT: don't fragment. */
export const IP4_DF = 0x4000;
/** In IP4_FRAGMENT: more fragments follow. */
export const IP4_MF = 0x2000;
/** In IP4_FRAGMENT: the offset. */
export const IP4_OFFSET_MASK = 0x1fff;
/** Bytes of the longest packet. */
export const IP4_MOST_BYTES = 65535;
/** First byte of an option, of one byte: no more options. */
export const IP4_OPTION_END = 0;
/** First byte of an option, of one byte: nothing. All others have their length, bytes, in the second. */
export const IP4_OPTION_NOTHING = 1;
/** In the first byte of an option: each fragment has it, not the first one alone. */
export const IP4_OPTION_COPIED = 0x80;

// ---- IPv6 (RFC 8200) -----------------------------------------------------------------------------------------------

/** u32: version (4 bits), traffic class (8), flow label (20). */
export const IP6_VERSION_CLASS_FLOW = 0;
/** u16: bytes behind the fixed header, extension headers included. */
export const IP6_LENGTH = 4;
/** u8. */
export const IP6_NEXT_HEADER = 6;
/** u8. */
export const IP6_HOP_LIMIT = 7;
/** 16 bytes. */
export const IP6_SOURCE = 8;
/** 16 bytes. */
export const IP6_DESTINATION = 24;
export const IP6_BYTES = 40;
/** Extension headers that a walk looks at, at most; a packet with more is refused. */
export const IP6_MAX_EXTENSIONS = 8;
/** u8: what follows an extension header. */
export const IP6_EXTENSION_NEXT = 0;
/** u8: bytes of an extension header: (this + 1) * 8, but (this + 2) * 4 for AH; a fragment header has 8. */
export const IP6_EXTENSION_LENGTH = 1;
/** u16 in a fragment header: offset in the high thirteen bits (so masked with 0xfff8 it is in bytes), M in the lowest. */
export const IP6_FRAGMENT_OFFSET = 2;
/** u32 in a fragment header. */
export const IP6_FRAGMENT_ID = 4;
export const IP6_FRAGMENT_BYTES = 8;

// ---- IP protocol numbers (IANA) ------------------------------------------------------------------------------------

export const PROTOCOL_HOP_BY_HOP = 0;
export const PROTOCOL_ICMP4 = 1;
export const PROTOCOL_IP4 = 4;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_IP6 = 41;
export const PROTOCOL_ROUTING = 43;
export const PROTOCOL_FRAGMENT = 44;
export const PROTOCOL_GRE = 47;
export const PROTOCOL_ESP = 50;
export const PROTOCOL_AH = 51;
export const PROTOCOL_ICMP6 = 58;
export const PROTOCOL_NO_NEXT = 59;
export const PROTOCOL_DESTINATION_OPTIONS = 60;

// ---- TCP (RFC 9293) ------------------------------------------------------------------------------------------------

/** u16. */
export const TCP_SOURCE_PORT = 0;
/** u16. */
export const TCP_DESTINATION_PORT = 2;
/** u32. */
export const TCP_SEQUENCE = 4;
/** u32. */
export const TCP_ACKNOWLEDGEMENT = 8;
/** u8: header length in 4-byte words in the high four bits. */
export const TCP_DATA_OFFSET = 12;
/** u8: CWR ECE URG ACK PSH RST SYN FIN, highest bit first. */
export const TCP_FLAGS = 13;
/** u16. */
export const TCP_WINDOW = 14;
/** u16: over pseudo-header, header and payload. */
export const TCP_CHECKSUM = 16;
/** u16. */
export const TCP_URGENT = 18;
/** Bytes of a header without options. */
export const TCP_BYTES = 20;
export const TCP_FIN = 1;
export const TCP_SYN = 2;
export const TCP_RST = 4;
export const TCP_PSH = 8;
export const TCP_ACK = 16;
export const TCP_URG = 32;

// ---- UDP (RFC 768) -------------------------------------------------------------------------------------------------

/** u16. */
export const UDP_SOURCE_PORT = 0;
/** u16. */
export const UDP_DESTINATION_PORT = 2;
/** u16: bytes of header and payload. */
export const UDP_LENGTH = 4;
/** u16: over pseudo-header, header and payload; 0 is none (IPv4 only). One that computes to 0 is sent as 0xffff. */
export const UDP_CHECKSUM = 6;
export const UDP_BYTES = 8;

// ---- ICMP (RFC 792) and ICMPv6 (RFC 4443) --------------------------------------------------------------------------

/** u8. */
export const ICMP_TYPE = 0;
/** u8. */
export const ICMP_CODE = 1;
/** u16: over the message, for ICMPv6 after the pseudo-header. */
export const ICMP_CHECKSUM = 2;
/** u32: depends on the type: identifier and sequence of an echo, MTU of a "packet too big". */
export const ICMP_REST = 4;
/** u16: identifier of an echo. */
export const ICMP_ID = 4;
/** u16: sequence number of an echo; next-hop MTU of an IPv4 "fragmentation needed" (RFC 1191). */
export const ICMP_SEQUENCE = 6;
/** Bytes before the message body; in an error the body is the packet that it is about. */
export const ICMP_BYTES = 8;
export const ICMP4_ECHO_REPLY = 0;
export const ICMP4_UNREACHABLE = 3;
/** Code of ICMP4_UNREACHABLE. */
export const ICMP4_FRAGMENTATION_NEEDED = 4;
export const ICMP4_SOURCE_QUENCH = 4;
export const ICMP4_REDIRECT = 5;
export const ICMP4_ECHO = 8;
export const ICMP4_TIME_EXCEEDED = 11;
export const ICMP4_PARAMETER_PROBLEM = 12;
export const ICMP6_UNREACHABLE = 1;
export const ICMP6_PACKET_TOO_BIG = 2;
export const ICMP6_TIME_EXCEEDED = 3;
export const ICMP6_PARAMETER_PROBLEM = 4;
/** Lower types are errors. */
export const ICMP6_ECHO = 128;
export const ICMP6_ECHO_REPLY = 129;
export const ICMP6_REDIRECT = 137;

// ---- GRE (RFC 2784, 2890) ------------------------------------------------------------------------------------------

/** u16: C, K and S flags (0x8000, 0x2000, 0x1000), version in the low three bits. */
export const GRE_FLAGS = 0;
/** u16: an EtherType. */
export const GRE_PROTOCOL = 2;
/** Bytes of a header without checksum, key and sequence number. */
export const GRE_BYTES = 4;
export const GRE_FLAG_CHECKSUM = 0x8000;
export const GRE_FLAG_KEY = 0x2000;
export const GRE_FLAG_SEQUENCE = 0x1000;
