/**
 * The layout of a sticky table, for TypeScript and kernels alike. Offsets and sizes are in bytes; words are little-endian.
 *
 *     header (64 bytes) | buckets (64 bytes each)
 */

/** u32: number of buckets - 1. */
export const STICKY_MASK = 0;
/** u32: seconds that an entry lives after its last packet. */
export const STICKY_TIMEOUT = 4;
/** u32: address of the table whose flows are moved here, while they are; else 0. */
export const STICKY_OLD = 8;
/** The header; the buckets follow. */
export const STICKY_BYTES = 64;

/** A bucket is 1 << BUCKET_SHIFT bytes, one cache line: four entries, word by word. */
export const BUCKET_SHIFT = 6;
export const BUCKET_BYTES = 64;
export const BUCKET_ENTRIES = 4;
/** u32[4]: the hash that the flow is known by, all 32 bits. */
export const BUCKET_HASH = 0;
/** i32[4]: second at which the entry is over; one that is not later than now is free. 0: never used. */
export const BUCKET_EXPIRY = 16;
/** u32[4]: VIP that the flow belongs to, in the low 16 bits; above it the low 16 bits of its state. */
export const BUCKET_VIP = 32;
/** u32[4]: application server that it goes to, not 0, in the low 24 bits; above it the high 8 bits of its state. */
export const BUCKET_AS = 48;
export const VIP_MASK = 0xffff;
export const AS_MASK = 0xffffff;

/** What lookup_vector counts, u64 each, at 8 times this; VPP's four counters. */
export const COUNT_EXISTING = 0;
export const COUNT_FIRST = 1;
export const COUNT_UNTRACKED = 2;
export const COUNT_NO_SERVER = 3;
