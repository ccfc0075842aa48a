/**
 * The memory layouts of the forwarding tables, for TypeScript and kernels alike. Offsets and sizes are in bytes; words are
 * little-endian unless told.
 */

// ---- DPO words -----------------------------------------------------------------------------------------------------
// What a lookup yields: type << DPO_SHIFT | index. Types are the places in the fan-out `dpo`. Bit 31 is always clear.

export const DPO_SHIFT = 24;
export const DPO_INDEX_MASK = 0xffffff;
/** Index: a DROP_ below. */
export const DPO_DROP = 0;
/** Index: a PUNT_ below. */
export const DPO_PUNT = 1;
/** For the host itself. Index: interface. */
export const DPO_RECEIVE = 2;
/** Index: adjacency. */
export const DPO_ADJACENCY4 = 3;
/** Index: adjacency. */
export const DPO_ADJACENCY6 = 4;
/** Index: load balance. */
export const DPO_LOAD_BALANCE = 5;
/** The destination is a neighbour whose MAC address is not known. Index: interface. */
export const DPO_GLEAN4 = 6;
/** Index: interface. */
export const DPO_GLEAN6 = 7;
/** Types from here on belong to other packages, in the order in which they add to the fan-out `dpo`. */
export const DPO_FIRST_FREE = 8;

// Indices of DPO_DROP and DPO_PUNT say why. A node that looks up has a counter for each, drops first, in this order.
export const DROP_NO_ROUTE = 0;
export const DROP_BLACKHOLE = 1;
export const DROP_UNREACHABLE = 2;
export const DROP_MARTIAN = 3;
export const DROP_REASONS = 4;
export const PUNT_FOREIGN_INTERFACE = 0;
export const PUNT_MULTICAST = 1;
export const PUNT_LINK_LOCAL = 2;
export const PUNT_REASONS = 3;

// ---- IPv4 FIB: a 16-8-8 mtrie --------------------------------------------------------------------------------------
// An entry is a u32: FIB4_LEAF | DPO word, or the address of a ply divided by 4. Behind the entries of the root and of each
// ply stands, for the control plane alone, the length of the prefix that each leaf comes from, a byte each.

export const FIB4_LEAF = 0x80000000;
/** u32: plies in use. */
export const FIB4_PLIES = 0;
/** 65536 entries. The slot is the address's first two bytes as a little-endian u16, so that a kernel swaps nothing. */
export const FIB4_ROOT = 64;
export const FIB4_ROOT_SLOTS = 65536;
export const FIB4_ROOT_LENGTHS = 262208;
export const FIB4_BYTES = 327744;
/** 256 entries, by the third or fourth byte of the address. */
export const PLY_SLOTS = 256;
export const PLY_LENGTHS = 1024;
/** u32: entries that are a ply, or a leaf of a prefix longer than what leads to this ply (16 or 24 bits). */
export const PLY_SPECIFICS = 1280;
export const PLY_BYTES = 1344;
/** With more plies than this (512 KiB, about a level-2 cache) a kernel loads ahead. */
export const FIB4_AHEAD_PLIES = 512;

// ---- IPv6 FIB: a hash table of (prefix, length), and which lengths there are ---------------------------------------

/** u32: address of the list of lengths; replaced as a whole. */
export const FIB6_LENGTHS = 0;
/** u32: address of the bihash (16 bytes of prefix, then u64 length; value: DPO word). */
export const FIB6_TABLE = 4;
/** u32: address of the filter: a byte for each value of a hash of prefixes; 0 if the table has no prefix with that hash. */
export const FIB6_FILTER = 8;
/** u32: the filter's hash is the highest bits of 64: so many bits are below them. */
export const FIB6_FILTER_SHIFT = 12;
export const FIB6_BYTES = 64;
/** What fib6LookupNext() remembers: 16 bytes of prefix; u32, address of its length's entry in the list, 0 if nothing; u32, its DPO. */
export const FIB6_LAST_AT = 16;
export const FIB6_LAST_DPO = 20;
export const FIB6_LAST_BYTES = 24;
/** Where ip6-lookup has these, in its data; before it, u32, the address of the table. */
export const LOOKUP6_LAST = 8;
/** In the list, u32: how many. Entries follow from LENGTHS_FIRST, longest prefix first. */
export const LENGTHS_COUNT = 0;
export const LENGTHS_FIRST = 16;
/** An entry: 16 bytes of mask, then u64 length, then u64, what the filter's hash has of the length. */
export const LENGTHS_MASK = 0;
export const LENGTHS_LENGTH = 16;
export const LENGTHS_SALT = 24;
export const LENGTHS_STRIDE = 32;
/** Key: 16 bytes of prefix, u64 length. */
export const FIB6_KEY_BYTES = 24;

// ---- Adjacencies: next hops, ready to send to ----------------------------------------------------------------------

/** An adjacency is 1 << ADJACENCY_SHIFT bytes. */
export const ADJACENCY_SHIFT = 6;
/**
 * 16 bytes, copied to the 16 bytes before the IP header: 2 bytes of nothing, destination MAC, source MAC, EtherType. So
 * each MAC address lies in an aligned word of its own, and changes in one store.
 */
export const ADJACENCY_REWRITE = 0;
export const ADJACENCY_DESTINATION = 2;
export const ADJACENCY_SOURCE = 8;
export const ADJACENCY_TYPE = 14;
/** u32: index of the interface. */
export const ADJACENCY_INTERFACE = 16;
/** u32: largest IP packet, bytes. 0 if any flag is set, so that the usual path needs one comparison. */
export const ADJACENCY_MTU = 20;
/** u32: ADJACENCY_INCOMPLETE and others. */
export const ADJACENCY_FLAGS = 24;
/** u32: 4 or 16, bytes of the next hop's address. */
export const ADJACENCY_HOP_BYTES = 28;
/** 4 or 16 bytes: the next hop's address, network order. */
export const ADJACENCY_HOP = 32;
/** The next hop's MAC address is not known. */
export const ADJACENCY_INCOMPLETE = 1;
/** The interface is down. */
export const ADJACENCY_DOWN = 2;

// ---- Load balances -------------------------------------------------------------------------------------------------
// A table of u32: address of a block {u32 buckets - 1, then the buckets: DPO words}. The number is a power of two.

export const LOAD_BALANCE_MASK = 0;
export const LOAD_BALANCE_BUCKETS = 4;
export const LOAD_BALANCE_MAX_BUCKETS = 64;

// ---- ICMP errors ---------------------------------------------------------------------------------------------------
// Who sends a packet to ip4-icmp-error or ip6-icmp-error says in META_OPAQUE which error: type, code, and MTU in host order
// (0 if the error has none).

export const ICMP_ERROR_TYPE_SHIFT = 24;
export const ICMP_ERROR_CODE_SHIFT = 16;
export const ICMP_ERROR_MTU_MASK = 0xffff;
/** Longest ICMP error, bytes: what every host takes (RFC 1812, section 4.3.2.3). */
export const ICMP4_ERROR_BYTES = 576;
/** Longest ICMPv6 error, bytes: the least MTU of IPv6 (RFC 4443, section 2.4 c). */
export const ICMP6_ERROR_BYTES = 1280;

// ---- Token buckets -------------------------------------------------------------------------------------------------

/** u32: tokens a second. */
export const TOKEN_BUCKET_RATE = 0;
/** u32: tokens that it holds, at most. */
export const TOKEN_BUCKET_BURST = 4;
/** u32: what it holds, in thousandths of a token. */
export const TOKEN_BUCKET_TOKENS = 8;
/** u32: WORKER_NOW_MS when that was. */
export const TOKEN_BUCKET_SINCE = 12;
export const TOKEN_BUCKET_BYTES = 16;

// ---- Fragments on their way from ip4-frag to ip4-frag-input: a ring of buffer indices ------------------------------

/** u32: how many were put in, ever; wraps. */
export const FRAGMENTS_IN = 0;
/** u32: how many were taken out, ever; wraps. */
export const FRAGMENTS_OUT = 4;
/** FRAGMENTS_ROOM u32. */
export const FRAGMENTS_RING = 64;
/** A power of two. */
export const FRAGMENTS_ROOM = 1024;
export const FRAGMENTS_BYTES = 4160;

// Constants of assembly/four.ts: vectors of four equal words, to be loaded before a loop.

/** 0xffff, 0xff and 0xff00. */
export const FOUR_HALF = 0;
export const FOUR_BYTE = 16;
export const FOUR_HIGH_BYTE = 32;
/** For badChecksum4(). */
export const FOUR_BIAS = 48;
export const FOUR_ONES = 64;
/** For badSource4(). */
export const FOUR_LOOPBACK = 80;
export const FOUR_UNICAST = 96;
export const FOUR_BYTES = 112;
