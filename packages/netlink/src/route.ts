import { addressText } from '@lbd/packet';
import { ipFamily } from './address.ts';
import * as C from './constants.ts';
import { type Bytes, needFixed, parseAttributes } from './message.ts';
import { flagsOf, type NextHop, type NexthopObject, resolveNexthops } from './nexthop.ts';

/** What becomes of a packet that a route applies to, in the kernel's order. */
const TYPES = [
  'unspec',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
] as const;
export type RouteType = (typeof TYPES)[number];

/** A route of the main table or the local table. */
export interface Route {
  readonly family: 4 | 6;
  /** Prefix, as in `10.0.0.0/8`; always with its length. */
  readonly destination: string;
  /** 254 is the main table, 255 the local one. */
  readonly table: number;
  readonly type: RouteType;
  /** The lower of two routes with one destination is used. */
  readonly metric: number;
  /** Largest packet that it is for, bytes, as in `ip route add ... mtu 1400`; 0 if it is left to the interface. */
  readonly mtu: number;
  /** Only for packets with this type of service (IPv4); 0 for all. */
  readonly tos: number;
  /** Who made it (RTPROT_): 2 the kernel, 3 boot, 4 static, and routing daemons. */
  readonly protocol: number;
  /** Address that the host sends from; empty if it is left to the kernel. */
  readonly source: string;
  readonly nexthops: readonly NextHop[];
  /** Nexthop object that it refers to; 0 if none. Its ways are in `nexthops`. */
  readonly nexthopId: number;
}

/**
 * struct rtmsg: u8 family, u8 destination length, u8 source length, u8 tos, u8 table, u8 protocol, u8 scope, u8 type,
 * u32 flags.
 * @returns undefined for what forwarding does not look at here: other tables, cached exceptions, routes by source (RTA_SRC)
 */
export function parseRoute(body: Bytes): Route | undefined {
  needFixed(body, C.RTMSG_BYTES);
  const family = ipFamily(body.u8(0));
  if (!family || body.u8(2) !== 0 || (body.u32(8) & C.RTM_F_CLONED) !== 0) return undefined;
  const attributes = parseAttributes(body, C.RTMSG_BYTES);
  const table = attributes.get(C.RTA_TABLE)?.u32() ?? body.u8(4);
  if (table !== C.RT_TABLE_MAIN && table !== C.RT_TABLE_LOCAL) return undefined;
  const destination = attributes.get(C.RTA_DST)?.bytes ?? new Uint8Array(family === 4 ? 4 : 16);
  const source = attributes.get(C.RTA_PREFSRC)?.bytes;
  const metrics = attributes.get(C.RTA_METRICS);
  return {
    family,
    destination: `${addressText(destination)}/${body.u8(1)}`,
    table,
    type: TYPES[body.u8(7)] ?? 'unspec',
    metric: attributes.get(C.RTA_PRIORITY)?.u32() ?? 0,
    mtu: (metrics && parseAttributes(metrics).get(C.RTAX_MTU)?.u32()) ?? 0,
    tos: body.u8(3),
    protocol: body.u8(5),
    source: source ? addressText(source) : '',
    nexthops: parseNexthops(attributes, body.u32(8)),
    nexthopId: attributes.get(C.RTA_NH_ID)?.u32() ?? 0,
  };
}

/** A route whose nexthop object the kernel did not write out (sysctl nexthop_compat_mode=0), with its ways. */
export function withObject(route: Route, objects: ReadonlyMap<number, NexthopObject>): Route {
  if (route.nexthopId === 0 || route.nexthops.length > 0) return route;
  const ways = resolveNexthops(route.nexthopId, objects);
  if (!ways) return route;
  return { ...route, nexthops: ways.nexthops, type: ways.blackhole ? 'blackhole' : route.type };
}

function parseNexthops(attributes: ReadonlyMap<number, Bytes>, flags: number): NextHop[] {
  const several = attributes.get(C.RTA_MULTIPATH);
  if (!several) {
    const ifindex = attributes.get(C.RTA_OIF)?.u32() ?? 0;
    const gateway = gatewayOf(attributes);
    if (ifindex === 0 && gateway === '') return [];
    return [{ ifindex, gateway, weight: 1, ...flagsOf(flags) }];
  }
  const nexthops: NextHop[] = [];
  // struct rtnexthop: u16 length, u8 flags, u8 weight - 1, i32 interface index; its attributes follow
  for (let at = 0; at + C.RTNEXTHOP_BYTES <= several.length; ) {
    const length = Math.max(several.u16(at), C.RTNEXTHOP_BYTES);
    const own = parseAttributes(several.slice(at, Math.min(at + length, several.length)), C.RTNEXTHOP_BYTES);
    nexthops.push({
      ifindex: several.i32(at + 4),
      gateway: gatewayOf(own),
      weight: several.u8(at + 3) + 1,
      ...flagsOf(several.u8(at + 2)),
    });
    at += (length + 3) & ~3;
  }
  return nexthops;
}

/** RTA_GATEWAY has the route's family; RTA_VIA, for the other one, starts with a u16 family. */
function gatewayOf(attributes: ReadonlyMap<number, Bytes>): string {
  const gateway = attributes.get(C.RTA_GATEWAY)?.bytes;
  const via = attributes.get(C.RTA_VIA)?.bytes;
  if (gateway) return addressText(gateway);
  return via ? addressText(via.subarray(2)) : '';
}
