/** Memory layouts of this package, for TypeScript and kernels alike. Offsets and sizes in bytes; words are little-endian. */

// ---- Flow hash -----------------------------------------------------------------------------------------------------

/** u32: FLOW_CRC32C or FLOW_KEYED. */
export const FLOW_KIND = 0;
/** u64[2]: the key of the keyed hash. */
export const FLOW_KEY = 16;
/** u32[40][256]: CRC-32C of a byte that so many bytes follow, all zero. Present for FLOW_CRC32C only. */
export const FLOW_TABLES = 64;
/** Tables, one for each byte of the five words that are hashed. */
export const FLOW_POSITIONS = 40;
/** A table is 1 << FLOW_TABLE_SHIFT bytes. */
export const FLOW_TABLE_SHIFT = 10;

/** CRC-32C over five words: VPP's hash on processors with SSE4.2. */
export const FLOW_CRC32C = 0;
/** SipHash-1-3 with a secret key. */
export const FLOW_KEYED = 1;

// ---- New-flow table ------------------------------------------------------------------------------------------------

/** A server, as the fill kernel wants it: sorted by address, without those of weight 0. */
export const SERVER_BYTES = 16;
/** u64: the first eight bytes of its address xor the last eight, each as a little-endian word. */
export const SERVER_WORD = 0;
/** u32: its weight. */
export const SERVER_WEIGHT = 8;
/** u32: what the slots that it gets hold. */
export const SERVER_VALUE = 12;

/** State of a replica during the fill: u32 next slot to try, u32 skip, u32 value, u32 unused. */
export const REPLICA_BYTES = 16;
