/**
 * What lb-tunnel-errors knows of tunnels, for TypeScript and kernels alike. Offsets in bytes; words are little-endian.
 *
 * The ends of tunnels, the servers that packets are tunnelled to, are a bihash with 16-byte keys: an address as AS_ADDRESS
 * has it. The value is how many records of servers have the address.
 */

// The node's data.

/** u32: address of the worker's load balancer block. */
export const TUNNEL_ERRORS_LB = 0;
/** u32: address of the ends. */
export const TUNNEL_ERRORS_ENDS = 4;
/** u32: kinds of tunnels; they follow. */
export const TUNNEL_ERRORS_KINDS = 8;
/** u32 each: family of the outer header << 16 | its protocol << 8 | bytes in front of the packet inside. */
export const TUNNEL_ERRORS_KIND = 12;
/** Kinds, at most. */
export const TUNNEL_ERRORS_MAX_KINDS = 64;
export const TUNNEL_ERRORS_BYTES = TUNNEL_ERRORS_KIND + 4 * TUNNEL_ERRORS_MAX_KINDS;

// Places of its next nodes and counters.

export const TUNNEL_ERRORS_NEXT_DROP = 0;
export const TUNNEL_ERRORS_NEXT_ICMP4_ERROR = 1;
export const TUNNEL_ERRORS_NEXT_ICMP6_ERROR = 2;

export const TUNNEL_ERRORS_TOO_BIG = 0;
export const TUNNEL_ERRORS_UNREACHABLE = 1;
export const TUNNEL_ERRORS_TOO_SHORT = 2;
export const TUNNEL_ERRORS_BAD_CHECKSUM = 3;
export const TUNNEL_ERRORS_MTU_TOO_SMALL = 4;
export const TUNNEL_ERRORS_OTHER = 5;

/** The least MTU of a link, bytes: RFC 791, section 3.2. */
export const IP4_LEAST_MTU = 68;
/** RFC 8200, section 5. */
export const IP6_LEAST_MTU = 1280;
