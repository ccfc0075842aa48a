/**
 * A sticky table in the linear memory, for TypeScript and kernels alike: a header of one cache line, then buckets of one
 * cache line each. Offsets in bytes, words little-endian. One worker writes it.
 */

/** u32: number of buckets - 1. */
export const STICKY_MASK = 0;
/** u32: idle seconds after which a flow is forgotten. */
export const STICKY_TIMEOUT = 4;
/** The header; the buckets follow. */
export const STICKY_HEADER = 64;

/** Entries in a bucket. */
export const BUCKET_ENTRIES = 4;
/** A bucket is 1 << BUCKET_SHIFT bytes: four u32 arrays of four. */
export const BUCKET_SHIFT = 6;
export const BUCKET_BYTES = 64;
/** u32[4]: flow hashes. */
export const BUCKET_HASH = 0;
/** u32[4]: second from which the entry is over; 0 of an entry never used. */
export const BUCKET_EXPIRY = 16;
/** u32[4]: the flows' VIPs. */
export const BUCKET_VIP = 32;
/** u32[4]: their servers. */
export const BUCKET_AS = 48;
