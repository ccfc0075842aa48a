import { macText } from '@lbd/packet';
import * as C from './constants.ts';
import { type Bytes, needFixed, parseAttributes } from './message.ts';

/** Operational states of RFC 2863, in the kernel's order. */
const OPERSTATES = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up'] as const;
export type OperState = (typeof OPERSTATES)[number];

/** A network interface. */
export interface Link {
  readonly ifindex: number;
  readonly name: string;
  /** `02:00:00:00:00:01`; empty if it has none, or one that is not of 6 bytes. */
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  /** Set up by the administrator. */
  readonly up: boolean;
  /** It has a carrier. */
  readonly carrier: boolean;
  readonly operState: OperState;
  /** `veth`, `vlan`, `bridge`, ...; empty for hardware. */
  readonly kind: string;
  /** Interface that this one is a port of (bridge, bond, VRF); 0 if none. */
  readonly master: number;
  /** Lower interface of a VLAN, or the other end of a veth pair (an index of its namespace); 0 if none. */
  readonly lower: number;
}

/**
 * struct ifinfomsg: u8 family, u8 padding, u16 hardware type, i32 index, u32 flags, u32 change.
 * @returns undefined for what is not an interface of its own (a bridge's view of its port)
 */
export function parseLink(body: Bytes): Link | undefined {
  needFixed(body, C.IFINFOMSG_BYTES);
  if (body.u8(0) !== C.AF_UNSPEC) return undefined;
  const flags = body.u32(8);
  const attributes = parseAttributes(body, C.IFINFOMSG_BYTES);
  const mac = attributes.get(C.IFLA_ADDRESS)?.bytes;
  const info = attributes.get(C.IFLA_LINKINFO);
  return {
    ifindex: body.i32(4),
    name: attributes.get(C.IFLA_IFNAME)?.text() ?? '',
    mac: mac?.length === 6 ? macText(mac) : '',
    mtu: attributes.get(C.IFLA_MTU)?.u32() ?? 0,
    up: (flags & C.IFF_UP) !== 0,
    carrier: (flags & C.IFF_LOWER_UP) !== 0,
    operState: OPERSTATES[attributes.get(C.IFLA_OPERSTATE)?.u8() ?? 0] ?? 'unknown',
    kind: (info && parseAttributes(info).get(C.IFLA_INFO_KIND)?.text()) ?? '',
    master: attributes.get(C.IFLA_MASTER)?.u32() ?? 0,
    lower: attributes.get(C.IFLA_LINK)?.u32() ?? 0,
  };
}
