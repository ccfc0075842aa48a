/** The data of the nodes, for TypeScript and kernels alike. Offsets in bytes. */

/** u32: address of the worker's load balancer block. */
export const DATA_LB = 0;
/** u32: what the outer header takes over from the inner one: COPY_ bits. The low eight are those of the TOS or traffic class. */
export const DATA_COPIED = 4;
export const DATA_BYTES = 8;

/** The DSCP (RFC 2474): the uniform model of RFC 2983. */
export const COPY_DSCP = 0xfc;
/** The ECN field (RFC 3168): the normal mode of RFC 6040, section 4.1. */
export const COPY_ECN = 0x03;
/** gre4: don't fragment (RFC 2003, section 3.1). IPv6 packets have it as it were. */
export const COPY_DF = 0x100;

/** TTL or hop limit of outer headers; the rewrite counts it down once. */
export const OUTER_TTL = 128;
/** Bytes in front of a packet: outer IPv4 header and GRE. */
export const GRE4_OVERHEAD = 24;
/** Outer IPv6 header and GRE. */
export const GRE6_OVERHEAD = 44;

// Places of the nodes' next nodes and counters.

export const GRE_NEXT_DROP = 0;
/** The first counters are `lookupCounters` of @lbd/fib: why a server's DPO is drop or punt. So many are they. */
export const GRE_LOOKUP_COUNTERS = 7;
export const GRE_NO_SOURCE = 7;

/** Places of the next nodes of gre4-express and gre6-express. */
export const EXPRESS_NEXT_OUTPUT = 0;
export const EXPRESS_NEXT_ORDINARY = 1;
