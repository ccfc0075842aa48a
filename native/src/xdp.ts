import { addon } from './addon.ts';
import { check, NEEDS_NET_RAW } from './system-error.ts';

/** The four rings of an AF_XDP socket. */
export const XDP_RING = { rx: 0, tx: 1, fill: 2, completion: 3 } as const;
export type XdpRing = keyof typeof XDP_RING;

/** Bytes of a ring's entry: rx and tx hold struct xdp_desc (u64 address, u32 length, u32 options), the others u64. */
export const XDP_ENTRY_BYTES = { rx: 16, tx: 16, fill: 8, completion: 8 } as const;

export const XDP_SHARED_UMEM = 1;
export const XDP_COPY = 2;
export const XDP_ZEROCOPY = 4;
export const XDP_USE_NEED_WAKEUP = 8;
/** Bit of a ring's flags word: the kernel wants a wake-up. */
export const XDP_RING_NEED_WAKEUP = 1;

/** Where a mapped ring's words are, as offsets from the start of its room. */
export interface RingOffsets {
  /** u32, written by who produces. */
  readonly producer: number;
  /** u32, written by who consumes. */
  readonly consumer: number;
  /** u32, XDP_RING_ flags. */
  readonly flags: number;
  /** The entries. */
  readonly descriptors: number;
  /** Bytes mapped: whole pages. */
  readonly bytes: number;
}

export interface XdpStatistics {
  /** Dropped for other reasons: too big for a frame, say. */
  readonly rxDropped: bigint;
  readonly rxInvalid: bigint;
  readonly txInvalid: bigint;
  readonly rxRingFull: bigint;
  readonly rxFillRingEmpty: bigint;
  readonly txRingEmpty: bigint;
}

/** Bytes to keep for a ring: its entries, and a page for its producer, consumer and flags words. */
export function xdpRingRoom(ring: XdpRing, entries: number): number {
  return 4096 + Math.ceil((entries * XDP_ENTRY_BYTES[ring]) / 4096) * 4096;
}

/** Opens an AF_XDP socket and returns its file descriptor. */
export function xdpSocket(): number {
  return check(addon().xdpSocket(), 'socket(AF_XDP)', 'an XDP socket', {
    EPERM: NEEDS_NET_RAW,
    EAFNOSUPPORT: 'the kernel was built without CONFIG_XDP_SOCKETS',
  });
}

/**
 * Makes `area` the UMEM of the socket. It must be page-aligned: over a WebAssembly.Memory it is when its offset is.
 * @param chunkBytes bytes of a frame: a power of two from 2048 up to the page size
 */
export function xdpRegisterUmem(fd: number, area: Uint8Array, chunkBytes: number): void {
  check(addon().xdpRegisterUmem(fd, area, chunkBytes, 0, 0), 'setsockopt(XDP_UMEM_REG)', `${area.length} bytes`, {
    EPERM: NEEDS_NET_RAW,
    ENOBUFS: 'the frames are locked into RAM: raise the limit (ulimit -l) or grant CAP_IPC_LOCK',
    EINVAL: 'it must be page-aligned, and a whole number of frames of 2048 or 4096 bytes',
  });
}

/** @param entries a power of two */
export function xdpSetRingSize(fd: number, ring: XdpRing, entries: number): void {
  const returned = addon().xdpSetRingSize(fd, XDP_RING[ring], entries);
  check(returned, 'setsockopt(XDP ring)', `the ${ring} ring, ${entries} entries`, {
    EINVAL: 'the number of entries must be a power of two',
  });
}

/**
 * Maps a ring over the start of `room`: page-aligned memory of at least {@link xdpRingRoom} bytes. All that had a view of
 * that memory (typed arrays, WebAssembly, other threads) then sees the ring.
 */
export function xdpMapRing(fd: number, ring: XdpRing, entries: number, room: Uint8Array): RingOffsets {
  const offsets = new Uint32Array(4);
  const returned = addon().xdpMapRing(fd, XDP_RING[ring], entries, room, offsets);
  const bytes = check(returned, 'mmap', `the ${ring} ring of an XDP socket`, {
    ENOSPC: `${room.length} bytes are too few for ${entries} entries`,
    EINVAL: 'its room must be page-aligned and its size set before',
  });
  return { producer: offsets[0]!, consumer: offsets[1]!, flags: offsets[2]!, descriptors: offsets[3]!, bytes };
}

/** Puts zeroed ordinary memory in place of what is mapped over `room`, so that views of it stay valid. */
export function unmap(room: Uint8Array): void {
  check(addon().unmap(room), 'mmap', 'anonymous pages over a ring');
}

/** Milliseconds in which a queue that another process just gave back becomes free. */
const BUSY_MS = 2000;
const EBUSY = 16;

/**
 * Binds the socket to a queue of an interface. A queue that was in use a moment ago may be busy still: the kernel
 * releases it late, so this tries again for up to two seconds.
 * @param sharedUmemFd with XDP_SHARED_UMEM: the bound socket whose UMEM to use
 */
export async function xdpBind(
  fd: number,
  name: string,
  ifindex: number,
  queue: number,
  flags: number,
  sharedUmemFd = 0,
): Promise<void> {
  const until = performance.now() + BUSY_MS;
  let returned = addon().xdpBind(fd, ifindex, queue, flags, sharedUmemFd);
  while (returned === -EBUSY && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    returned = addon().xdpBind(fd, ifindex, queue, flags, sharedUmemFd);
  }
  check(returned, 'bind(AF_XDP)', `queue ${queue} of ${name}`, {
    EPERM: NEEDS_NET_RAW,
    EBUSY: 'another program has an XDP socket on this queue',
    EINVAL: 'the interface has no such queue (ethtool -l), or its rings are not set up',
    ENODEV: 'there is no such interface in this network namespace',
    ENETDOWN: 'the interface is down (ip link set ... up)',
    ENOTSUP: 'its driver can not do zero-copy',
  });
}

/** True if the bound socket works without copying. */
export function xdpIsZeroCopy(fd: number): boolean {
  return (check(addon().xdpOptions(fd), 'getsockopt(XDP_OPTIONS)', 'an XDP socket') & 1) === 1;
}

/** What the kernel counted on the socket. */
export function xdpStatistics(fd: number): XdpStatistics {
  const n = new BigUint64Array(6);
  check(addon().xdpStatistics(fd, n), 'getsockopt(XDP_STATISTICS)', 'an XDP socket');
  const [rxDropped, rxInvalid, txInvalid, rxRingFull, rxFillRingEmpty, txRingEmpty] = n as unknown as bigint[];
  return {
    rxDropped: rxDropped!,
    rxInvalid: rxInvalid!,
    txInvalid: txInvalid!,
    rxRingFull: rxRingFull!,
    rxFillRingEmpty: rxFillRingEmpty!,
    txRingEmpty: txRingEmpty!,
  };
}

/**
 * Packets that one wake-up may send in copy mode (32 by default). Linux 6.17 and later; call it before the socket is
 * bound.
 * @returns false where the kernel does not know it
 */
export function xdpSetTxBudget(fd: number, packets: number): boolean {
  return addon().xdpSetTxBudget(fd, packets) >= 0;
}
