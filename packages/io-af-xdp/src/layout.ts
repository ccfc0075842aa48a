/**
 * Memory layouts of the driver, for TypeScript and kernels alike. Offsets in bytes, words are little-endian u32.
 *
 * A queue of a port has a *queue block*: where its rings are, and how far this side has got in each. It belongs to one
 * worker. The data of the nodes `af_xdp-input` and `af_xdp-output` says which queue blocks are theirs.
 */

/** Data of `af_xdp-input`: how many queue blocks follow. Written last, atomically: entries before it are there. */
export const INPUT_COUNT = 0;
/** Which of them is polled first in the next breath. */
export const INPUT_FIRST = 4;
/** Their addresses. */
export const INPUT_BLOCKS = 8;
/** Queues that one worker can serve, over all ports. */
export const MAX_QUEUES = 256;
export const INPUT_BYTES = INPUT_BLOCKS + MAX_QUEUES * 4;

/** Data of `af_xdp-output`: by interface index, the address of the queue block to send with; 0: none. */
export const OUTPUT_BLOCKS = 0;
export const OUTPUT_BYTES = 64 * 4;

/** Interface index of the port. */
export const QUEUE_INTERFACE = 0;

// Of each ring: the addresses of its producer word, consumer word, entries; entries less one.
/** Entries are struct xdp_desc: u64 address, u32 length, u32 options. The kernel produces. */
export const RX_PRODUCER = 4;
export const RX_CONSUMER = 8;
export const RX_ENTRIES = 12;
export const RX_MASK = 16;
/** Entries are struct xdp_desc. We produce. */
export const TX_PRODUCER = 20;
export const TX_CONSUMER = 24;
export const TX_ENTRIES = 28;
export const TX_MASK = 32;
/** Entries are u64 addresses of frames to receive into. We produce. */
export const FILL_PRODUCER = 36;
export const FILL_CONSUMER = 40;
export const FILL_ENTRIES = 44;
export const FILL_MASK = 48;
/** Entries are u64 addresses of frames that were sent. The kernel produces. */
export const COMPLETION_PRODUCER = 52;
export const COMPLETION_CONSUMER = 56;
export const COMPLETION_ENTRIES = 60;
export const COMPLETION_MASK = 64;
/** Addresses of the flags words. */
export const TX_FLAGS = 68;
export const FILL_FLAGS = 72;

// Indices as this side has them; they wrap at 2^32, an entry is at (index & mask).
/** Next entry of the RX ring to take. */
export const RX_TAKEN = 76;
/** Next entry of the TX ring to write. */
export const TX_WRITTEN = 80;
/** Consumer of the TX ring as last seen. */
export const TX_SEEN = 84;
/** Next entry of the fill ring to write. */
export const FILL_WRITTEN = 88;
/** Next entry of the completion ring to take. */
export const COMPLETION_TAKEN = 92;
/** Buffers to keep on the fill ring. */
export const FILL_WANTED = 96;
/** Entries written to the TX ring that the kernel may not have been told of. The worker's flush() sets it to 0. */
export const TX_UNTOLD = 100;
/** Packets that the kernel dropped, since the input node last took them into the interface's counters. */
export const RX_LOST = 104;
export const QUEUE_BYTES = 128;

/** Refill when at least this many are missing (or a quarter of FILL_WANTED, if that is less). */
export const REFILL_BATCH = 64;
/** Buffers that filling leaves for others: nodes that make packets. */
export const REFILL_RESERVE = 256;
/** Shortest frame that may be sent: an Ethernet header. */
export const SHORTEST_FRAME = 14;
