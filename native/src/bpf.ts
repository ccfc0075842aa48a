import { addon } from './addon.ts';
import { check, NEEDS_BPF, NEEDS_PERFMON, SystemError } from './system-error.ts';

export const BPF_MAP_TYPE = { hash: 1, array: 2, lruHash: 9, lpmTrie: 11, devmap: 14, xskmap: 17 } as const;
/** Required for LPM tries. */
export const BPF_F_NO_PREALLOC = 1;
export const BPF_PROG_TYPE_XDP = 6;
/** Attach type of XDP links. */
export const BPF_XDP = 37;
export const XDP_FLAGS_SKB_MODE = 2;
export const XDP_FLAGS_DRV_MODE = 4;
/** For {@link bpfTestRun}: the packet goes on as the program says, as if it had come in. Linux 5.18. */
export const BPF_F_TEST_XDP_LIVE_FRAMES = 2;

export interface BpfMapOptions {
  readonly type: keyof typeof BPF_MAP_TYPE;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entries: number;
  readonly flags?: number;
  /** For bpftool; at most 15 letters, digits and underscores. */
  readonly name: string;
}

/** Creates a map and returns its file descriptor. */
export function bpfMapCreate({ type, keyBytes, valueBytes, entries, flags = 0, name }: BpfMapOptions): number {
  const returned = addon().bpfMapCreate(BPF_MAP_TYPE[type], keyBytes, valueBytes, entries, flags, name);
  return check(returned, 'bpf(BPF_MAP_CREATE)', `map ${name}`, { EPERM: NEEDS_BPF });
}

/** Adds or replaces an element. Keys and values must have the map's sizes. */
export function bpfMapUpdate(map: number, key: Uint8Array, value: Uint8Array): void {
  check(addon().bpfMapUpdate(map, key, value, 0), 'bpf(BPF_MAP_UPDATE_ELEM)', 'a map element', {
    E2BIG: 'the map is full',
    ENOSPC: 'the map is full',
    EPERM: NEEDS_BPF,
  });
}

const ENOENT = 2;

/** @returns false if there was no such element */
export function bpfMapDelete(map: number, key: Uint8Array): boolean {
  const returned = addon().bpfMapDelete(map, key);
  if (returned === -ENOENT) return false;
  check(returned, 'bpf(BPF_MAP_DELETE_ELEM)', 'a map element', { EPERM: NEEDS_BPF });
  return true;
}

/** Writes the element's value to `value`. @returns false if there is no such element */
export function bpfMapLookup(map: number, key: Uint8Array, value: Uint8Array): boolean {
  const returned = addon().bpfMapLookup(map, key, value);
  if (returned === -ENOENT) return false;
  check(returned, 'bpf(BPF_MAP_LOOKUP_ELEM)', 'a map element', { EPERM: NEEDS_BPF });
  return true;
}

/** Walks the keys: writes the key after `key` (or the first, for null) to `next`. @returns false at the end */
export function bpfMapNextKey(map: number, key: Uint8Array | null, next: Uint8Array): boolean {
  const returned = addon().bpfMapNextKey(map, key, next);
  if (returned === -ENOENT) return false;
  check(returned, 'bpf(BPF_MAP_GET_NEXT_KEY)', 'a map', { EPERM: NEEDS_BPF });
  return true;
}

const EAGAIN = 11;
const EINVAL = 22;
const EACCES = 13;

/** A signal interrupts the verifier (EAGAIN), as a profiler's does; libbpf tries as often. */
const LOAD_ATTEMPTS = 5;

/**
 * Loads an XDP program and returns its file descriptor. The license is Apache-2.0: helpers for GPL programs only are out
 * of reach.
 * @param instructions 8 bytes each
 * @throws SystemError with the verifier's log in the message when it refused
 */
export function bpfLoadXdp(name: string, instructions: Uint8Array): number {
  const load = (log: Uint8Array | null, attempts = LOAD_ATTEMPTS): number => {
    const returned = addon().bpfProgramLoad(BPF_PROG_TYPE_XDP, instructions, 'Apache-2.0', name, BPF_XDP, log);
    return returned === -EAGAIN && attempts > 1 ? load(log, attempts - 1) : returned;
  };
  const returned = load(null);
  if (returned === -EACCES || returned === -EINVAL) {
    const log = new Uint8Array(1 << 20);
    const again = load(log);
    if (again >= 0) return again;
    const said = new TextDecoder().decode(log.subarray(0, Math.max(0, log.indexOf(0)))).trimEnd();
    const why = said.includes('prohibited for !root') ? NEEDS_PERFMON : `the verifier refused:\n${said}`;
    throw new SystemError('bpf(BPF_PROG_LOAD)', `program ${name}`, -again, why);
  }
  return check(returned, 'bpf(BPF_PROG_LOAD)', `program ${name}`, { EPERM: NEEDS_BPF });
}

export type XdpMode = 'native' | 'generic';

/**
 * Attaches an XDP program and returns the link's file descriptor. The kernel detaches the program when it is closed,
 * however the process ends.
 */
export function bpfAttachXdp(program: number, name: string, ifindex: number, mode: XdpMode): number {
  const flags = mode === 'native' ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  return check(
    addon().bpfLinkCreate(program, ifindex, BPF_XDP, flags),
    'bpf(BPF_LINK_CREATE)',
    `an XDP program on ${name} in ${mode} mode`,
    {
      EPERM: NEEDS_BPF,
      EBUSY: 'another XDP program is attached to this interface (ip link show; ip link set ... xdp off)',
      EEXIST: 'another XDP program is attached to this interface in another mode (ip link set ... xdp off)',
      ENODEV: 'there is no such interface in this network namespace',
      ENOTSUP: 'its driver has no native XDP: use generic mode',
      EINVAL: 'the driver refused; is its MTU too large for XDP?',
    },
  );
}

export interface BpfTestOptions {
  /** Interface that the packet came in on, as its ifindex; 0: loopback. */
  readonly ifindex?: number;
  readonly queue?: number;
  /** The packet really goes on where the program says: BPF_F_TEST_XDP_LIVE_FRAMES. */
  readonly live?: boolean;
  /** Where the packet is written to as the program left it; not with `live`. */
  readonly output?: Uint8Array;
}

/** @returns the action (XDP_PASS is 2, XDP_REDIRECT 4), and the bytes of the packet afterwards; both 0 with `live` */
export function bpfTestRun(
  program: number,
  packet: Uint8Array,
  { ifindex = 0, queue = 0, live = false, output }: BpfTestOptions = {},
): { action: number; bytes: number } {
  let context: Uint8Array | null = null;
  if (ifindex !== 0) {
    // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
    context = new Uint8Array(new Uint32Array([0, packet.length, 0, ifindex, queue, 0]).buffer);
  }
  const out = new Uint32Array(3);
  const flags = live ? BPF_F_TEST_XDP_LIVE_FRAMES : 0;
  const returned = addon().bpfProgramTestRun(program, packet, output ?? null, context, flags, 1, out);
  check(returned, 'bpf(BPF_PROG_TEST_RUN)', `a packet of ${packet.length} bytes`, {
    EPERM: NEEDS_BPF,
    EINVAL: 'the packet is too short or too long, or there is no such interface or queue',
  });
  return { action: out[0]!, bytes: out[1]! };
}
