/** The data of the nodes, for TypeScript and kernels alike. Offsets in bytes. */

/** u32: address of the worker's load balancer block. */
export const DATA_LB = 0;
/** u32: TTL or hop limit of outer headers. */
export const DATA_TTL = 4;
export const DATA_BYTES = 8;

/** Bytes in front of a packet: the outer header. */
export const IPIP4_OVERHEAD = 20;
export const IPIP6_OVERHEAD = 40;

// Places of the nodes' next nodes and counters.

export const NEXT_DROP = 0;
/** The first counters are `lookupCounters` of @lbd/fib; so many are they. */
export const LOOKUP_COUNTERS = 7;
export const NO_SOURCE = 7;
