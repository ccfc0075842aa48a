/** Places of the counters of this package's nodes, in the order in which the nodes declare them; kernels count by place. */

export const ETHERNET_INPUT_RUNT = 0;
export const ETHERNET_INPUT_NOT_FOR_US = 1;
export const ETHERNET_INPUT_GROUP = 2;
export const ETHERNET_INPUT_UNKNOWN_TYPE = 3;

export const IP4_INPUT_TRUNCATED = 0;
export const IP4_INPUT_BAD_VERSION = 1;
export const IP4_INPUT_BAD_HEADER_LENGTH = 2;
export const IP4_INPUT_BAD_LENGTH = 3;
export const IP4_INPUT_BAD_CHECKSUM = 4;
export const IP4_INPUT_TTL_EXPIRED = 5;
export const IP4_INPUT_BAD_SOURCE = 6;

export const IP6_INPUT_TRUNCATED = 0;
export const IP6_INPUT_BAD_VERSION = 1;
export const IP6_INPUT_HOP_LIMIT_EXCEEDED = 2;
export const IP6_INPUT_BAD_SOURCE = 3;
export const IP6_INPUT_BAD_EXTENSIONS = 4;

export const L4_CHECKSUM_COMPLETED = 0;

export const REWRITE_TTL_EXPIRED = 0;
export const REWRITE_INTERFACE_DOWN = 1;
export const REWRITE_TOO_BIG = 2;

export const LOCAL_PUNTED = 0;

export const ICMP_ERROR_SENT = 0;
export const ICMP_ERROR_NOT_ALLOWED = 1;
export const ICMP_ERROR_NO_ADDRESS = 2;
export const ICMP_ERROR_TOO_MANY = 3;

export const ICMP_ECHO_REPLIES = 0;
export const ICMP_ECHO_NOT_A_REQUEST = 1;

export const FRAG_DATAGRAMS = 0;
export const FRAG_FRAGMENTS = 1;
export const FRAG_NOT_ALLOWED = 2;
export const FRAG_NO_BUFFER = 3;
export const FRAG_NO_ROOM = 4;
