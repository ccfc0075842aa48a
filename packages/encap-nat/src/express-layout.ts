/** Data of lb-nat4-in2out-express and lb-nat6-in2out-express, for TypeScript and kernels alike. Offsets in bytes. */

// Its first words are DATA_NAT, DATA_LB and DATA_TOUCHED of layout.ts.

/** FIB6_ words that fib6LookupNext() of @lbd/fib remembers. */
export const REPLY_PREFIX = 16;

/**
 * What all packets of a run have in common, and constants, as the loops compare it. First MODEL_ETHERNET and MODEL_ETHERNET_MASK of
 * @lbd/lb's express-layout.ts, then these, vectors of four equal words: to load one takes less than to make it.
 */
export const REPLY_MODEL = 64;
/** META_RX and META_FLAGS behind it. */
export const MODEL_RX = 32;
/** For IPv4 alone, from here on: FOUR_ vectors of @lbd/fib. */
export const MODEL_FOUR = 48;
/** Version and header length of one without options; the bits that a fragment has set. */
export const MODEL_VERSION = 160;
export const MODEL_FRAGMENT = 176;
/** What FOUR_BIAS takes from the sum of five words. */
export const MODEL_SUM = 192;
/** Protocols, where they are in their word, and which bits of it that are. */
export const MODEL_TCP = 208;
export const MODEL_UDP = 224;

/** Packets in a vector, at most: VECTOR_SIZE of @lbd/graph. */
export const REPLY_PACKETS = 256;
/** A word for each packet of the vector, and some more: packets are taken four at a time. */
const WORDS = (REPLY_PACKETS + 4) * 4;
/** u32 each: the vector, and three times more its last packet. */
export const REPLY_BUFFERS = 320;
/** u32: where the packet begins, at its Ethernet header. */
export const REPLY_FRAMES = REPLY_BUFFERS + WORDS;
/** u32: META_DATA and META_LENGTH as they are to be: from the Ethernet header to the end of the IP packet. */
export const REPLY_PLACES = REPLY_FRAMES + WORDS;
/** u32: destination of an IPv4 packet, as loaded. */
export const REPLY_DESTINATIONS = REPLY_PLACES + WORDS;
/** u32: all bits set if the packet is usual, else 0. */
export const REPLY_USUAL = REPLY_DESTINATIONS + WORDS;
/** u32: the adjacency that the destination's DPO is. */
export const REPLY_ADJACENCIES = REPLY_USUAL + WORDS;
/** u32: replyHash(). */
export const REPLY_HASHES = REPLY_ADJACENCIES + WORDS;
/** u32: address of the bucket of hints, then index of the session, or 0. */
export const REPLY_FOUND = REPLY_HASHES + WORDS;
/** Runs of packets that came in on one interface: RUN_ words each. */
export const REPLY_RUNS = REPLY_FOUND + WORDS;
/** So many has a vector at most, and the last is left to the ordinary way if there would be more. */
export const MAX_RUNS = 8;
export const RUN_BYTES = 8;
/** u32: four times the place in the vector where it ends. */
export const RUN_END = 0;
/** u32: RUN_LEFT or others. */
export const RUN_KIND = 4;
/** All go the ordinary way. */
export const RUN_LEFT = 0;
export const RUN_TAKEN = 1;
/** Checksums may be partial: the interface has the feature l4-checksum, too. */
export const RUN_CHECKSUMS = 2;
export const REPLY_BYTES = REPLY_RUNS + MAX_RUNS * RUN_BYTES;

/** Places of its next nodes. */
export const REPLY_NEXT_ORDINARY = 0;
export const REPLY_NEXT_OUTPUT = 1;
/** Places of the features that it stands for. */
export const STANDS_FOR_IN2OUT = 0;
export const STANDS_FOR_CHECKSUM = 1;
