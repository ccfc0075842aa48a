/**
 * Layouts of the benchmark's own nodes, for TypeScript and kernels alike. Offsets in bytes, words little-endian.
 *
 * The generator goes round all of a worker's buffers, as the C reference does and as a driver's rings make it, where the
 * worker's own stack of free buffers would hand out the same few cached ones again and again. So generator and sink
 * share a ring of buffer indices.
 */

/** A template is 1 << TEMPLATE_SHIFT bytes: one packet of 64 bytes. */
export const TEMPLATE_SHIFT = 6;
export const TEMPLATE_BYTES = 64;
/** Offset of the Ethernet header in its frame: the IP header is then aligned to 16 bytes, as in the C reference. */
export const GENERATOR_DATA = 258;

/** u32, in the data of both nodes: address of the block that they share, POOL_ words. */
export const NODE_POOL = 0;
export const NODE_POOL_BYTES = 4;

/** u32: address of the ring of free buffers, u32 each. */
export const POOL_RING = 0;
/** u32: entries of the ring less one; a power of two less one, no fewer than the worker has buffers. */
export const POOL_MASK = 4;
/** u32: where the generator takes from; grows without end. */
export const POOL_HEAD = 8;
/** u32: where the sink puts; grows without end. */
export const POOL_TAIL = 12;
/** u32: address of the first template. */
export const POOL_TEMPLATES = 16;
/** u32: templates less one; a power of two less one. */
export const POOL_FLOW_MASK = 20;
/** u32: flow of the next packet; grows without end. */
export const POOL_FLOW = 24;
/** u32: packets that the sink has seen. */
export const POOL_RECEIVED = 28;
export const POOL_BYTES = 64;
