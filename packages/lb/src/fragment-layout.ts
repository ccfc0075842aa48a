/**
 * What is remembered of fragmented datagrams, and of fragments that wait, for TypeScript and kernels alike. Offsets and sizes
 * in bytes; words are little-endian unless said otherwise.
 *
 *     fragment table: header (64 bytes) | buckets of four entries (64 bytes each)
 *
 * The table is shared by all workers. An entry is written under its sequence counter: odd while somebody writes to it.
 */

/** u32: buckets of the table, less one. */
export const FRAGMENTS_MASK = 0;
/** u32: how many datagrams were remembered so far; wraps. */
export const FRAGMENTS_ADDED = 4;
/** u64: random; where a datagram's bucket is can not be guessed without it. */
export const FRAGMENTS_SECRET = 8;
/** The header; the buckets follow. */
export const FRAGMENTS_BYTES = 64;

/** A bucket is 1 << FRAGMENTS_BUCKET_SHIFT bytes: FRAGMENTS_WAYS entries of 1 << FRAGMENT_SHIFT. */
export const FRAGMENTS_BUCKET_SHIFT = 8;
export const FRAGMENTS_WAYS = 4;
export const FRAGMENT_SHIFT = 6;
export const FRAGMENT_BYTES = 64;
/** u32: sequence counter; odd while the entry is being written. */
export const FRAGMENT_SEQUENCE = 0;
/** u32: second at which the entry is over; 0: never used. */
export const FRAGMENT_EXPIRY = 4;
/** u64: what was remembered, not 0. */
export const FRAGMENT_VALUE = 8;
/** u64[4]: source and destination as in the header; of IPv4 both are in the first word, and the others are 0. */
export const FRAGMENT_ADDRESSES = 16;
/** u64: identification, protocol, family and who remembers: see fragments.ts. */
export const FRAGMENT_DATAGRAM = 48;
/** u32: AS_GENERATION of the server that was chosen; 0 in what encaps remember. */
export const FRAGMENT_GENERATION = 56;
/** u32: FRAGMENTS_ADDED when it was written: of four entries the oldest makes room. */
export const FRAGMENT_ADDED = 60;

/** Seconds that a datagram is remembered after its first fragment. */
export const FRAGMENT_SECONDS = 5;

/**
 * u32 in the record of an application server: grows whenever the record is freed or given away, so that what was remembered
 * of the one before does not count for the one after.
 */
export const AS_GENERATION = 60;

/** The kinds of what is remembered: the choice of a server, or a value of an encap. */
export const FRAGMENTS_CHOICE = 0;
export const FRAGMENTS_ENCAP = 1;

// ---- Fragments that wait for the first of their datagram, of one worker ---------------------------------------------

/** u32: how many wait. */
export const HELD_COUNT = 0;
/** u32: place in the ring that the next one takes. */
export const HELD_TAIL = 4;
/** u32: place at which the next look starts. */
export const HELD_CURSOR = 8;
/** u32: FRAGMENTS_ADDED when the look that is under way began, and when the last complete one did. */
export const HELD_ROUND = 12;
export const HELD_SEEN = 16;
/** The ring follows: HELD_SLOTS of 1 << HELD_SHIFT bytes. */
export const HELD_BYTES = 64;
/** Slots of the ring, a power of two. The last this many that came can wait, no more. */
export const HELD_SLOTS = 256;
export const HELD_SHIFT = 3;
/** u32: buffer index plus one; 0: free. */
export const HELD_BUFFER = 0;
/** u32: WORKER_NOW_MS at which it has waited long enough. */
export const HELD_DEADLINE = 4;
/** Slots that are looked at in a breath, at most. */
export const HELD_BUDGET = 32;
/** Milliseconds that a later fragment waits for the first. */
export const HELD_MS = 1000;
/**
 * The same for one to an address of the host itself, for the port of a node: the first may have gone to the kernel directly,
 * which then waits for the rest.
 */
export const HELD_NODE_MS = 20;

/** In META_OPAQUE from lb-fragments-release to lb-fragments: has waited long enough. Choosing nodes leave the bit clear. */
export const FRAGMENT_OVERDUE = 0x40000000;

// Places of the next nodes and counters of lb-fragments.

export const FRAGMENTS_NEXT_DROP = 0;
export const FRAGMENTS_NEXT_PUNT = 1;
export const FRAGMENTS_NEXT_HOLD = 2;
export const FRAGMENTS_NEXT_ICMP4_ERROR = 3;
export const FRAGMENTS_NEXT_ICMP6_ERROR = 4;
export const FRAGMENTS_NEXT_FRAG = 5;

export const FRAGMENTS_COUNT_UNKNOWN = 0;
export const FRAGMENTS_COUNT_LEFT = 1;
export const FRAGMENTS_COUNT_OVERLAPPING = 2;
export const FRAGMENTS_COUNT_TTL_EXPIRED = 3;
export const FRAGMENTS_COUNT_TOO_BIG = 4;
export const FRAGMENTS_COUNT_NOT_FRAGMENTED = 5;
export const FRAGMENTS_COUNT_FRAGMENTED = 6;
