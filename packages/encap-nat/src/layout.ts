/**
 * The tables of NAT in the linear memory, for TypeScript and kernels alike. Offsets in bytes; words are little-endian, but
 * what is said to be in wire order is as the packet has it. Each family has tables of its own, laid out alike.
 *
 * One bihash finds a session by the tuple of either direction, and the VIP of a server for packets without a session. A key
 * is the packet's addresses (source, destination, as in the header), then 8 bytes: its ports (4 bytes as in the header), the
 * protocol, what kind of key it is, and two zero bytes. That makes 16 bytes for IPv4, 40 for IPv6.
 */

export const KEY4_BYTES = 16;
export const KEY6_BYTES = 40;
/** Bytes of the addresses in a key. */
export const KEY4_ADDRESSES = 8;
export const KEY6_ADDRESSES = 32;
/** Kinds of keys. Tuple of a packet from the client; the value is a session's index. */
export const KEY_FORWARD = 0;
/** Tuple of a packet from the server; the value is a session's index. */
export const KEY_REVERSE = 1;
/** Address and port of a server, destination and its port zero; the value is the index of the only VIP that has them. */
export const KEY_SERVER = 2;

/**
 * A session's record is 1 << SESSION_SHIFT bytes: one cache line, also for IPv6, where the server's address is not in it but
 * in the AS's record (which outlives the session). Index 0 is no session.
 */
export const SESSION_SHIFT = 6;
/** IPv4, wire order, u32 each. The tuples of both directions are contiguous: server and client, client and VIP. */
export const SESSION4_SERVER = 0;
export const SESSION4_CLIENT = 4;
export const SESSION4_VIP = 8;
/** IPv6, 16 bytes each. */
export const SESSION6_CLIENT = 0;
export const SESSION6_VIP = 16;
/** u16 each, wire order, contiguous in the same way: ports of the server, the client, and the VIP's side. */
export const SESSION_SERVER_PORT = 32;
export const SESSION_CLIENT_PORT = 34;
export const SESSION_VIP_PORT = 36;
/** u8: IP protocol. */
export const SESSION_PROTOCOL = 38;
/** u8: what has been seen of the flow, see SEEN_. */
export const SESSION_SEEN = 39;
/** u32: second (worker's clock) from which the session is over. */
export const SESSION_EXPIRY = 40;
/** u32: index of the server. */
export const SESSION_AS = 44;
/** u32: SESSION_FREE, SESSION_LIVE or SESSION_DEAD. Changed atomically. */
export const SESSION_STATE = 48;
/** u16: what the server's address in place of the VIP's adds to the complement of the IP checksum (RFC 1624, equation 3). */
export const SESSION_IP_DELTA = 52;
/** u16: what the server's address and port in place of the VIP's add to the complement of the L4 checksum. */
export const SESSION_L4_DELTA = 54;
/** u32, of a free session: index of the next free one. */
export const SESSION_NEXT = 56;
/** u32: written to bring the record's line near; means nothing. */
export const SESSION_TOUCHED = 60;

export const SESSION_FREE = 0;
export const SESSION_LIVE = 1;
/** Out of the bihash; a worker may still be using it. */
export const SESSION_DEAD = 2;

/** A packet of the server was seen. */
export const SEEN_REPLY = 1;
/** FIN from the client. */
export const SEEN_FIN_CLIENT = 2;
/** FIN from the server. */
export const SEEN_FIN_SERVER = 4;
/** RST from either. */
export const SEEN_RST = 8;
/** The flow is UDP. */
export const SEEN_UDP = 16;

// The block that all nodes of one family's NAT in all workers share.

/** u32: address of session 0. */
export const NAT_SESSIONS = 0;
/** u32: address of the bihash. */
export const NAT_TABLE = 4;
/** u32: sessions there can be, index 0 included. */
export const NAT_CAPACITY = 8;
/** u32: address of the family's forwarding table: tells the packets of VIPs from those of others. */
export const NAT_FIB = 12;
/** u64: free sessions, a stack: index of the first in the low half, a count of changes in the high (it prevents ABA). */
export const NAT_FREE = 16;
/** u32: sessions below this index have been used. Changed atomically. */
export const NAT_NEXT = 24;
/** u32: live sessions. Changed atomically. */
export const NAT_LIVE = 28;
/** u32: address of the hints by META_HASH; see HINT_. */
export const NAT_HINTS = 32;
/** u32: buckets of them less one. */
export const NAT_HINT_MASK = 36;
/** u32: address of the hints by the hash of the server's packets. */
export const NAT_REPLY_HINTS = 40;
/** u32: buckets of them less one. */
export const NAT_REPLY_HINT_MASK = 44;
/** u32: 1 for IPv6, 0 for IPv4. */
export const NAT_SIX = 48;
/** u32: address of AS record 0 (LB_SERVERS). */
export const NAT_SERVERS = 52;
/** u32[32]: idle seconds after which a session is over, by SESSION_SEEN. */
export const NAT_TIMEOUTS = 64;
export const NAT_BYTES = 64 + 32 * 4;

/**
 * Hints say where the session of a flow may be, so that the usual packet finds it by a hash without the bihash. A bucket, by
 * the low bits of the hash, is four u32: the hash's top byte, and a session's index below it; 0 if free. A hint may be wrong
 * or old: the session's own tuple decides. Shared by all workers, each u32 written as a whole.
 */
export const HINT_SHIFT = 4;
export const HINT_INDEX = 0xffffff;
export const HINT_TAG_SHIFT = 24;

// Data of the nodes.

/** u32: address of the NAT block. */
export const DATA_NAT = 0;
/** u32: address of the worker's load balancer block. */
export const DATA_LB = 4;
/** u64: what the touching loops loaded, so that they are not optimised away. */
export const DATA_TOUCHED = 8;
/** u32[VECTOR_SIZE]: hashes of the servers' packets. */
export const DATA_HASHES = 64;
/** u32[VECTOR_SIZE], in the place of the hashes: metadata of the packets whose flows have no session in the sticky table. */
export const DATA_UNKNOWN = 64;
/** u32[VECTOR_SIZE]: sessions, or where to look for them. */
export const DATA_FOUND = 64 + 256 * 4;
export const DATA_BYTES = 64 + 256 * 8;

/**
 * What the fragment table keeps of a server's datagram: a session's index, or this bit and a VIP's index (static mapping).
 */
export const FRAGMENTS_STATIC = 0x80000000;

// Places of the nodes' counters and next nodes.

export const NAT_NEXT_DROP = 0;
/** The first counters are `lookupCounters` of @lbd/fib: why a server's DPO is drop or punt. So many are they. */
export const NAT_LOOKUP_COUNTERS = 7;
export const NAT_CREATED = 7;
export const NAT_MOVED = 8;
export const NAT_FULL = 9;
export const NAT_CONFLICT = 10;
export const NAT_TRUNCATED = 11;
export const NAT_NO_PORTS = 12;
export const NAT_ERRORS = 13;
export const NAT_NO_SERVER = 14;

export const IN2OUT_NEXT_PUNT = 0;
export const IN2OUT_NEXT_DROP = 1;
export const IN2OUT_TRANSLATED = 0;
export const IN2OUT_STATIC = 1;
export const IN2OUT_ERRORS = 2;
export const IN2OUT_EXPIRING = 3;
export const IN2OUT_NO_SESSION = 4;
export const IN2OUT_NO_FRAGMENTS = 5;

/** Places of the next nodes of nat4-express and nat6-express. */
export const EXPRESS_NEXT_OUTPUT = 0;
export const EXPRESS_NEXT_ORDINARY = 1;
