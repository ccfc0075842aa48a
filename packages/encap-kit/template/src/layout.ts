/** Numbers that TypeScript and the kernel share. Offsets in bytes. */

/** u32, in the node's data: address of the worker's load balancer block. */
export const DATA_LB = 0;
export const DATA_BYTES = 4;

/** Bytes that the kernel puts in front of a packet. */
export const OVERHEAD = 20;

// Places of the node's next nodes and counters.

export const NEXT_DROP = 0;
/** The first counters are `lookupCounters` of @lbd/fib; so many are they. */
export const LOOKUP_COUNTERS = 7;
export const NO_SOURCE = 7;
