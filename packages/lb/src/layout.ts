/**
 * Tables of the load balancer in the linear memory, for TypeScript and kernels alike. Offsets in bytes; words are
 * little-endian, but what is said to be in wire order is as the packet has it.
 */

/** A VIP's record is 1 << VIP_SHIFT bytes. Index 0 is no VIP. */
export const VIP_SHIFT = 6;
/** u32: address of the new-flow table: VIP_MASK + 1 AS indices, u32 each; 0 where there is no server. */
export const VIP_NEW_FLOW = 0;
/** u32: slots of the new-flow table, less one. */
export const VIP_MASK = 4;
/** u32: which member of the fan-out `encap` rewrites its packets. */
export const VIP_ENCAP = 8;
/** u32: VIP_SRC_IP_STICKY and others. */
export const VIP_FLAGS = 12;
/** u16, wire order: port of a per-port VIP; 0 of an all-port one. */
export const VIP_PORT = 16;
/** u16, wire order: port that the servers listen on (NAT). */
export const VIP_TARGET_PORT = 18;
/** u8: protocol of a per-port VIP. */
export const VIP_PROTOCOL = 20;
/** u8: DSCP that names the VIP to its servers (L3DSR), 0 to 63. */
export const VIP_DSCP = 21;
/** u8: length of the prefix, counted in its own family's bits. */
export const VIP_LENGTH = 22;
/**
 * u16: the longest packet, as it came, that surely fits the way to each of its servers: the least of their AS_MAX_LENGTH.
 * 0 where there is none.
 */
export const VIP_MAX_LENGTH = 24;
/** u8: packets with a lower TTL or hop limit are not sent on: 2 where the packet itself is forwarded, 0 where it is tunnelled. */
export const VIP_MIN_TTL = 26;
/** 16 bytes: the prefix; an IPv4 one is in the last four (VIP_ADDRESS4). */
export const VIP_ADDRESS = 32;
export const VIP_ADDRESS4 = 44;
/** Flow hash over addresses only. */
export const VIP_SRC_IP_STICKY = 1;
/** The encap keeps flows itself: packets that there is no server for go to its node, with META_AS 0 and the VIP in META_DPO. */
export const VIP_KEEPS_FLOWS = 2;

/** An AS's record is 1 << AS_SHIFT bytes. Index 0 is no server. An AS belongs to one VIP. */
export const AS_SHIFT = 6;
/** u32: DPO that its packets take after the encap: stacked on the route to it. */
export const AS_DPO = 0;
/** u32: index of its VIP. */
export const AS_VIP = 4;
/** u16, wire order: port that it listens on (NAT): the VIP's target port. */
export const AS_PORT = 8;
/** u16: the longest packet, as it came, that fits the way to it: the way's MTU less what the encap adds. */
export const AS_MAX_LENGTH = 10;
/** 16 bytes: its address; an IPv4 one is in the last four (AS_ADDRESS4). */
export const AS_ADDRESS = 16;
export const AS_ADDRESS4 = 28;

// The block that all nodes of the load balancer share in one worker.

/** u32: address of VIP record 0. */
export const LB_VIPS = 0;
/** u32: address of AS record 0. */
export const LB_SERVERS = 4;
/** u32: address of the worker's sticky table. */
export const LB_STICKY = 8;
/** u32: address of the per-port VIPs: a bihash with 8-byte keys, see portKey. */
export const LB_PORTS = 12;
/** u32: address of the worker's VIP counters: four u64 for each VIP, in the order of VIP_COUNTER_. */
export const LB_COUNTERS = 16;
/** u32: address of the flow hash (a FlowHash: its kind and its tables or key). */
export const LB_HASH = 20;
/** u32: address of the fragment table. */
export const LB_FRAGMENTS = 24;
/** u32: IPv4 source address of tunnels, wire order. */
export const LB_SOURCE4 = 28;
/** 16 bytes: IPv6 source address of tunnels. */
export const LB_SOURCE6 = 32;
/** u32: LB_FRAGMENT and others. */
export const LB_FLAGS = 48;
/** u32: address of adjacency 0, for express nodes; see EXPRESS_FAN_OUT. */
export const LB_ADJACENCIES = 52;
/** 16 bytes: what the sticky tables' hash is secret by, the same for all workers. */
export const LB_SECRET = 64;
export const LB_BYTES = 128;
/** In LB_FLAGS: IPv4 packets without DF that are too big for the way to their server are fragmented, not dropped. */
export const LB_FRAGMENT = 1;
/** In LB_FLAGS: there are node ports. */
export const LB_NODE_PORTS = 2;

/** Bytes of a VIP's counters are 1 << VIP_COUNTERS_SHIFT. */
export const VIP_COUNTERS_SHIFT = 5;
/** `packet from existing sessions` */
export const VIP_COUNTER_EXISTING = 0;
/** `first session packet` */
export const VIP_COUNTER_FIRST = 1;
/** `untracked packet` */
export const VIP_COUNTER_UNTRACKED = 2;
/** `no server configured` */
export const VIP_COUNTER_NO_SERVER = 3;

// Groups of VIPs by port (the index of the DPO of lb4-port and lb6-port, and part of portKey) that no prefix has: those of the
// node ports, which are on every address of the host.

export const NODE_PORT_GROUP4 = 0;
export const NODE_PORT_GROUP6 = 0xffffff;

/** In META_OPAQUE, within the choosing nodes: the packet is not a usual one; its VIP is in the low 16 bits. */
export const SPECIAL = 0x80000000;

// Places of the choosing nodes' own next nodes.

export const LB_NEXT_DROP = 0;
export const LB_NEXT_PUNT = 1;
/** `ip4-icmp-error` or `ip6-icmp-error`. */
export const LB_NEXT_ICMP_ERROR = 2;
/** `ip4-icmp-echo-request` or `ip6-icmp-echo-request`. */
export const LB_NEXT_ECHO = 3;
/** `lb-fragments`. */
export const LB_NEXT_FRAGMENTS = 4;
/** `ip4-frag`; lb6 and lb6-port have drop here. */
export const LB_NEXT_FRAG = 5;

// Places of the choosing nodes' counters.

export const LB_COUNT_NO_SERVER = 0;
export const LB_COUNT_NO_VIP = 1;
export const LB_COUNT_TTL_EXPIRED = 2;
export const LB_COUNT_TOO_BIG = 3;
export const LB_COUNT_NOT_FRAGMENTED = 4;
export const LB_COUNT_ICMP_UNKNOWN = 5;
export const LB_COUNT_ICMP_ERRORS = 6;
export const LB_COUNT_FRAGMENTED = 7;
export const LB_COUNT_TINY = 8;

// Places of lb-nodeport's own next nodes and counters.

export const NODE_PORT_NEXT_LB4 = 0;
export const NODE_PORT_NEXT_LB6 = 1;
export const NODE_PORT_COUNT_TAKEN = 0;
