/**
 * The layout of a bihash, for TypeScript and kernels alike. Offsets and sizes are in bytes; words are little-endian.
 *
 *     header | buckets: one u64 each | region: page-sets
 *
 * A page-set is 2^k pages; a page is four entries, {key, value}, all words u64. Keys of 8 bytes: keys of the page, then
 * its values, 64 bytes a page. Keys of 16 and 24 bytes: entries of 32 bytes; of 40 bytes: entries of 64 bytes, so that an
 * entry never crosses a cache line.
 */

/** u32: key size: 8, 16, 24 or 40. Never zero in a bihash. */
export const TABLE_KEY_BYTES = 0;
/** u32: number of buckets - 1. */
export const TABLE_MASK = 4;
/** u32: log2 of the number of buckets. */
export const TABLE_LOG2_BUCKETS = 8;
/** u32: address of the region. */
export const TABLE_REGION = 12;
/** u32: bytes of the region. */
export const TABLE_REGION_BYTES = 16;
/** u32: log2 of a page's bytes. */
export const TABLE_PAGE_SHIFT = 20;
/** i32: lock of everything from TABLE_NEXT to the free lists; 1 if taken. */
export const TABLE_LOCK = 64;
/** u32: offset in the region of what was never handed out. */
export const TABLE_NEXT = 68;
/** u32: bytes of page-sets in use. */
export const TABLE_USED = 72;
/** u32[MAX_LOG2_PAGES + 1]: addresses of the first free page-set of each size; each holds that of the next in its first word. */
export const TABLE_FREE = 76;
/** u32: entries. In a line of its own: writers of all threads add to it. */
export const TABLE_SIZE = 128;
/** u32: how often a bucket's page-set was replaced by a larger one. */
export const TABLE_SPLITS = 132;
/** The header; the buckets follow. */
export const TABLE_BYTES = 192;

/** Entries in a page. */
export const PAGE_ENTRIES = 4;
/** A bucket has 2^this pages at most: 4,096 entries. One that needs more is refused them: the table counts as full. */
export const MAX_LOG2_PAGES = 10;

/**
 * A bucket's word: its low half is the address of its page-set (64-byte aligned; 0 if it has none) and, in the low bits,
 * log2 of its pages and two flags; the high half is its generation.
 */
export const WORD_LOG2_PAGES = 15;
/** The entries are in no order: search all pages. */
export const WORD_LINEAR = 16;
/** A writer has the bucket. Readers do not care. */
export const WORD_LOCKED = 32;
/** What is not address. */
export const WORD_FLAGS = 63;

/** Results of writers. */
export const ADDED = 0;
/** The key was there. `add` replaced its value; `insert` left it. */
export const EXISTED = 1;
/** No room in the region for a larger page-set. Nothing has changed. */
export const FULL = -1;
/** `del`: the key is not there. */
export const MISSING = -2;
/** The value is 2^64 - 1, which no entry may have: it marks free ones. Nothing has changed. */
export const BAD_VALUE = -3;
