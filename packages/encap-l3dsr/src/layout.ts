/** The data of the node, for TypeScript and kernels alike. Offsets in bytes. */

/** u32: address of the worker's load balancer block. */
export const DATA_LB = 0;
export const DATA_BYTES = 4;

/** UDP-Lite (RFC 3828): its checksum is where UDP's is, and covers the pseudo-header. */
export const PROTOCOL_UDPLITE = 136;
/** DCCP (RFC 4340, section 9): the same place, and 0 is a checksum like any other. */
export const PROTOCOL_DCCP = 33;
/** Bytes of the shortest DCCP header. */
export const DCCP_BYTES = 12;

/** The first counters are `lookupCounters` of @lbd/fib: why a server's DPO is drop or punt. So many are they. */
export const L3DSR_LOOKUP_COUNTERS = 7;

/** Places of the next nodes of l3dsr-express. */
export const EXPRESS_NEXT_OUTPUT = 0;
export const EXPRESS_NEXT_ORDINARY = 1;
