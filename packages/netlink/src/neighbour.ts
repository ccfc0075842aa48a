import { addressBytes, addressText, macText } from '@lbd/packet';
import { ipFamily } from './address.ts';
import * as C from './constants.ts';
import { type Bytes, needFixed, parseAttributes, type Request } from './message.ts';

/** States of RFC 4861, and the kernel's own; the bit of each is 1 << its place. */
const STATES = ['incomplete', 'reachable', 'stale', 'delay', 'probe', 'failed', 'noarp', 'permanent'] as const;
export type NeighbourState = (typeof STATES)[number] | 'none';

/** An entry of the kernel's ARP or neighbour discovery table. */
export interface Neighbour {
  readonly family: 4 | 6;
  readonly ifindex: number;
  readonly address: string;
  /** Its MAC address; empty if not known (or not of 6 bytes). */
  readonly mac: string;
  readonly state: NeighbourState;
  readonly router: boolean;
}

/** True if the kernel would send to the neighbour's MAC address: it is known, and not found to be dead. */
export function isUsable({ mac, state }: Neighbour): boolean {
  return mac !== '' && state !== 'failed' && state !== 'incomplete' && state !== 'none';
}

/**
 * struct ndmsg: u8 family, u8 padding, u16 padding, i32 interface index, u16 state, u8 flags, u8 type.
 * @returns undefined for what is not an IP neighbour (bridge forwarding entries, proxies)
 */
export function parseNeighbour(body: Bytes): Neighbour | undefined {
  needFixed(body, C.NDMSG_BYTES);
  const family = ipFamily(body.u8(0));
  const flags = body.u8(10);
  const attributes = parseAttributes(body, C.NDMSG_BYTES);
  const address = attributes.get(C.NDA_DST)?.bytes;
  if (!family || !address || (flags & C.NTF_PROXY) !== 0) return undefined;
  const mac = attributes.get(C.NDA_LLADDR)?.bytes;
  return {
    family,
    ifindex: body.i32(4),
    address: addressText(address),
    mac: mac?.length === 6 ? macText(mac) : '',
    state: STATES[Math.log2(body.u16(8))] ?? 'none',
    router: (flags & C.NTF_ROUTER) !== 0,
  };
}

/** The request that makes the kernel use a neighbour, as if it had a packet for it: it resolves it, or probes a stale one. */
export function useNeighbour(ifindex: number, address: string): Request {
  const bytes = addressBytes(address);
  const fixed = new Uint8Array(C.NDMSG_BYTES);
  fixed[0] = bytes.length === 4 ? C.AF_INET : C.AF_INET6;
  new DataView(fixed.buffer).setInt32(4, ifindex, true);
  fixed[10] = C.NTF_USE;
  return {
    type: C.RTM_NEWNEIGH,
    flags: C.NLM_F_CREATE | C.NLM_F_ACK,
    fixed,
    attributes: [[C.NDA_DST, bytes]],
  };
}
