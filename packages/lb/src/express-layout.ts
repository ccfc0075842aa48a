/** Data of lb4-express, for TypeScript and kernels alike. Offsets in bytes. */

/** u32: address of the worker's load balancer block. */
export const EXPRESS_LB = 0;
/** u32: address of the forwarding table. */
export const EXPRESS_FIB = 4;
/** u32: type of the DPO lb4. */
export const EXPRESS_ALL_PORTS = 8;
/** u32: type of the DPO lb4-port. */
export const EXPRESS_PER_PORT = 12;

/** What all packets of a run have in common, as its loop compares it: vectors of four equal words, but those of 16 bytes of a frame. */
export const EXPRESS_MODEL = 64;
/** The first 16 bytes of the Ethernet frame, and which bits of them count. */
export const MODEL_ETHERNET = 0;
export const MODEL_ETHERNET_MASK = 16;
/** META_RX and META_FLAGS behind it. */
export const MODEL_RX = 32;
/** Of an IPv6 address all of it. */
export const MODEL_DESTINATION = 48;
/** Ports as loaded; which bits of them count; which are hashed. */
export const MODEL_PORTS = 64;
export const MODEL_PORTS_MASK = 80;
export const MODEL_PORTS_HASHED = 96;
/** The TTL that a packet needs at least, and the lengths between which it must be. */
export const MODEL_TTL = 112;
export const MODEL_LEAST = 128;
export const MODEL_MOST = 144;
/** IPv6: the next header. */
export const MODEL_PROTOCOL = 160;
/** IPv4: the first 16 bytes of the header, and which bits of them count. */
export const MODEL_HEADER = 176;
export const MODEL_HEADER_MASK = 192;
/** IPv4: sum of the destination's halves, and of what the bias takes from the others: see badChecksum4(). */
export const MODEL_SUM = 208;
/** IPv4: seed of the sticky table's hash. */
export const MODEL_SEED = 224;
/** Constants. V8 makes vectors of constants and parameters anew in each turn of a loop; those that are loaded it keeps. */
export const MODEL_ETHERNET_BYTES = 240;
/** Two vectors: see stickyConstants(). */
export const MODEL_STICKY = 256;
/** FOUR_ vectors of @lbd/fib. */
export const MODEL_FOUR = 288;
/** The VIP of a run, as the sticky table has it, and the second. */
export const EXPRESS_VIPS = 512;
export const EXPRESS_NOWS = 528;
/** A byte to touch in place of a bucket. */
export const EXPRESS_TOUCHED = 544;

/** Packets in a vector, at most: VECTOR_SIZE of @lbd/graph. */
export const EXPRESS_PACKETS = 256;
/** A word for each packet of the vector, and some more: packets are taken four at a time. */
const WORDS = (EXPRESS_PACKETS + 8) * 4;
/** Place of four words that no packet of the vector has. */
export const EXPRESS_SPARE = (EXPRESS_PACKETS + 4) * 4;
/** u32 each: the vector, and three times more its last packet. */
export const EXPRESS_BUFFERS = 576;
/** By which the sticky table knows the flows. */
export const EXPRESS_HASHES = EXPRESS_BUFFERS + WORDS;
/** META_DATA and META_LENGTH as they are to be, past the Ethernet header. */
export const EXPRESS_PLACES = EXPRESS_HASHES + WORDS;

/** The runs of the vector: RUN_ words each. */
export const EXPRESS_RUNS = EXPRESS_PLACES + WORDS;
export const RUN_BYTES = 20;
/** u32: its end, an address in the vector. */
export const RUN_END = 0;
/** u32: its VIP; 0 if it is left to the ordinary way; RUN_MANY if each packet has its own. */
export const RUN_VIP = 4;
export const RUN_MANY = 0xffffffff;
/** u32: the DPO that its destination has. */
export const RUN_DPO = 8;
/** u32: META_L4 and META_PROTOCOL. */
export const RUN_L4 = 12;
/** u32: not 0 if checksums that are partial are to be completed. */
export const RUN_COMPLETES = 16;

/** Of packets to many VIPs, u32 each: META_L4 and META_PROTOCOL, 0 if it is left to the ordinary way. */
export const MANY_L4 = EXPRESS_RUNS + EXPRESS_PACKETS * RUN_BYTES;
/** Where its IP header is. */
export const MANY_IP = MANY_L4 + WORDS;
export const MANY_VIP = MANY_IP + WORDS;
/** The DPO that its destination has. */
export const MANY_DPO = MANY_VIP + WORDS;
/** FIB6_ words that fib6LookupNext() of @lbd/fib remembers. */
export const MANY_PREFIX = MANY_DPO + WORDS;
/** What a vector's packets have asked for so far, by a hash: 1 << MANY_MEMO_BITS times a VIP's key (u64) and the VIP (u32), 16 bytes. */
export const MANY_VIPS_ASKED = MANY_PREFIX + 32;
export const MANY_MEMO_BITS = 6;
/** The same of IPv6 destinations: the address and its DPO (u32), 32 bytes. */
export const MANY_DPOS_ASKED = MANY_VIPS_ASKED + (16 << MANY_MEMO_BITS);
export const EXPRESS_BYTES = MANY_DPOS_ASKED + (32 << MANY_MEMO_BITS);

/**
 * A vector may have so many runs of packets to one VIP, and one more for every so many packets that were taken: each costs a
 * lookup. If there are more, each packet is looked up.
 */
export const FREE_RUNS = 4;
export const PACKETS_PER_RUN = 8;

/** Place of l4-checksum or l4-checksum6 among the features that it stands for; those behind it have nothing to do with packets to VIPs. */
export const STANDS_FOR_CHECKSUM = 0;

/** Places of its next nodes; the members of the fan-out follow. */
export const EXPRESS_NEXT_ORDINARY = 0;
