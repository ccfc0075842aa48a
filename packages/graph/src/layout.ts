/**
 * The memory layouts of the graph, for TypeScript and kernels alike. Offsets and sizes are in bytes; all words are
 * little-endian and naturally aligned.
 */

/** Packets in a vector, at most. */
export const VECTOR_SIZE = 256;

// ---- Buffers -------------------------------------------------------------------------------------------------------
// A buffer is a frame, 2048 bytes that a driver receives into and sends from, and 32 bytes of metadata. Frames and
// metadata are two arrays with one index, the buffer index: metadata of a vector is dense (two packets a cache line).

/** A frame is 1 << FRAME_SHIFT bytes. */
export const FRAME_SHIFT = 11;
export const FRAME_BYTES = 2048;
/** Drivers place a packet here or later, so that outer headers can be put in front of it. */
export const FRAME_HEADROOM = 256;

/** Metadata is 1 << METADATA_SHIFT bytes. */
export const METADATA_SHIFT = 5;
export const METADATA_BYTES = 32;
/** u16: offset in the frame of the current header (Ethernet at the drivers, IP within the IP layer). */
export const META_DATA = 0;
/** u16: bytes from the current header to the end of the packet. */
export const META_LENGTH = 2;
/** u16: index of the interface the packet came in on. */
export const META_RX = 4;
/** u16: flags, see FLAG_. */
export const META_FLAGS = 6;
/** u32: DPO that applies to the packet next: what a lookup found, or the DPO that it stacks on. */
export const META_DPO = 8;
/** u32: hash by which tables know the packet's flow, which is not the flow hash that chooses servers; 0: none. */
export const META_HASH = 12;
/** u32: index of the chosen application server. */
export const META_AS = 16;
/** u16: bytes from the IP header to the L4 header (or to the payload, in a later fragment). */
export const META_L4 = 20;
/** u8: IP protocol of the header at META_L4; PROTOCOL_NONE if it has no L4 header to look at (a later fragment). */
export const META_PROTOCOL = 22;
/** u16: graph-wide index of the counter that says why the packet is dropped or punted; set by who sends it there. */
export const META_REASON = 24;
/** u16: index of the interface the packet leaves on. */
export const META_TX = 26;
/**
 * u32: for the nodes of one package to talk to each other; no meaning across packages, but that the load balancer's choosing
 * nodes tell encaps there what these keep with the flow.
 */
export const META_OPAQUE = 28;

/** The packet is traced. */
export const FLAG_TRACED = 1;
/** Later fragment: the bytes at META_L4 are payload. */
export const FLAG_LATER_FRAGMENT = 2;
/** First fragment of several: the L4 header is there, the L4 payload is not all there. */
export const FLAG_FIRST_FRAGMENT = 4;

/** Made by lbd itself: what sends it first leaves its TTL or hop limit as it is, and takes the flag away. */
export const FLAG_MADE = 8;

/** META_PROTOCOL of a packet without an L4 header (IANA: 255 is reserved). */
export const PROTOCOL_NONE = 255;

// ---- What a kernel is given ----------------------------------------------------------------------------------------
// kernel(node, vector, count, nexts): node is the address of the node's block in this worker, vector the address of
// `count` u32 buffer indices, nexts the address of as many u16. It returns the next slot that all packets go to, or
// MIXED after writing each packet's next slot to nexts.

/** Returned by a kernel that wrote a next slot for each packet. */
export const MIXED = -1;

/** u32: address of the worker block. */
export const NODE_WORKER = 0;
/** u32: address of the node's counters in this worker, u64 each, in the order declared. */
export const NODE_COUNTERS = 4;
/** u32: graph-wide index of the node's first counter; plus the counter's place it is a META_REASON. */
export const NODE_REASON = 8;
/** u32: slot of the first member of the fan-out that the node uses: slot of member k is this + k. */
export const NODE_FANOUT = 12;
/** u32: address of the row table of the feature arc that the node starts, is a feature of, or watches; see FEATURE_STRIDE. */
export const NODE_ARC = 16;
/** u32: position of the node on its arc: 0 at the start, 1 .. n for features. */
export const NODE_POSITION = 20;
/** u32: slot that the arc's start has in the row of an interface without features: the arc's end. */
export const NODE_ARC_END = 24;
/**
 * For each feature that the node stands for, in the order declared: u32, the feature's bit in an interface's mask (see
 * FEATURE_MASKS; 0 if the arc does not have it), and u32, the address of the feature node's counters in this worker.
 */
export const NODE_STANDS_FOR = 32;
export const STANDS_FOR_STRIDE = 8;
/** So many features, at most. */
export const MAX_STANDS_FOR = 4;
/** The node's own data, as many bytes as it declares. 64-byte aligned. */
export const NODE_DATA = 64;

/** u32: index of the worker. */
export const WORKER_INDEX = 0;
/** u32: seconds, monotonic; 0 is long before lbd's start, so that an expiry of 0 is always over. */
export const WORKER_NOW = 4;
/** u32: milliseconds, monotonic; wraps after 49 days: compare differences. */
export const WORKER_NOW_MS = 8;
/** u32: address of frame 0; frame i is at this + (i << FRAME_SHIFT). */
export const WORKER_FRAMES = 12;
/** u32: address of the metadata of buffer 0. */
export const WORKER_METADATA = 16;
/** u32: address of the stack of this worker's free buffer indices, u32 each. */
export const WORKER_FREE = 20;
/** u32: how many are free. */
export const WORKER_FREE_COUNT = 24;
/** u32: address of the interface table. */
export const WORKER_INTERFACES = 28;
/** u32: how many buffers the worker owns. */
export const WORKER_BUFFERS = 32;
/** u32: index of its first buffer; it owns WORKER_BUFFERS from there. */
export const WORKER_FIRST_BUFFER = 36;
/** u32: address of the u16 next slots that the runtime reads after a kernel. */
export const WORKER_NEXTS = 40;
/** u32: address of the worker's interface counters, INTERFACE_COUNTER_BYTES for each interface. */
export const WORKER_INTERFACE_COUNTERS = 44;
/** u32: address of the worker's counters, u64 each, by graph-wide index (that is what META_REASON holds). */
export const WORKER_COUNTERS = 48;
/** u32: how many buffers nodes keep, to give them back by an input node. While there are any, the worker sleeps for moments only. */
export const WORKER_HELD = 52;
export const WORKER_BYTES = 64;

// ---- Counters of the graph itself: graph-wide indices --------------------------------------------------------------

/** A packet came to drop or punt and nobody had said why: a fault in the node that sent it. */
export const REASON_NONE = 0;
/** How many of them there are; the nodes' counters follow. */
export const GRAPH_COUNTERS = 1;

// Behind the counters that an internal node declares are three that the runtime counts for it:

/** The node trapped or threw. */
export const FAILURE_TRAP = 0;
/** The node named a next slot that it does not have. */
export const FAILURE_BAD_NEXT = 1;
/** The node is disabled, since it trapped again and again. */
export const FAILURE_DISABLED = 2;

// ---- Interfaces ----------------------------------------------------------------------------------------------------

/** Interfaces, at most. */
export const MAX_INTERFACES = 64;
/** An entry of the interface table is 1 << INTERFACE_SHIFT bytes. Shared; written by the control plane. */
export const INTERFACE_SHIFT = 6;
/** u32: INTERFACE_UP and others. */
export const INTERFACE_FLAGS = 0;
/** u32: largest IP packet that may leave, bytes. */
export const INTERFACE_MTU = 4;
/** 6 bytes: its MAC address. */
export const INTERFACE_MAC = 8;
/** u32: the kernel's index of it. */
export const INTERFACE_IFINDEX = 16;
/** u32: IPv4 address to send ICMP errors from, in wire order; 0 if none. */
export const INTERFACE_IP4 = 20;
/** 16 bytes: IPv6 address to send ICMP errors from; zero if none. */
export const INTERFACE_IP6 = 24;
/** u32: which member of the fan-outs `output` and `punt` its driver is. */
export const INTERFACE_DRIVER = 40;
export const INTERFACE_UP = 1;
/** Senders behind it may leave L4 checksums to hardware that is not there (veth, tap): see l4-checksum. */
export const INTERFACE_PARTIAL_CHECKSUMS = 2;

/** Per worker and interface, u64 each. */
export const INTERFACE_RX_PACKETS = 0;
export const INTERFACE_RX_BYTES = 8;
export const INTERFACE_TX_PACKETS = 16;
export const INTERFACE_TX_BYTES = 24;
export const INTERFACE_RX_DROPS = 32;
export const INTERFACE_TX_DROPS = 40;
export const INTERFACE_COUNTER_BYTES = 64;

// ---- Feature arcs --------------------------------------------------------------------------------------------------

/** An arc's table has a row of this many u16 for each interface: the next slot to take at each position. */
export const FEATURE_STRIDE = 16;
/** Behind the rows, a u16 for each interface: bit p is set if the feature at position p of the arc is enabled. */
export const FEATURE_MASKS = MAX_INTERFACES * FEATURE_STRIDE * 2;
export const ARC_BYTES = FEATURE_MASKS + MAX_INTERFACES * 2;
