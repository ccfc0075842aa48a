import { addressText } from '@lbd/packet';
import * as C from './constants.ts';
import { type Bytes, needFixed, parseAttributes } from './message.ts';

/** One way that a route takes. */
export interface NextHop {
  /** Interface that it leaves on; 0 if none. */
  readonly ifindex: number;
  /** Router to send to, of either family (RFC 8950); empty if the destination is on the link. */
  readonly gateway: string;
  /** Share of the flows, 1 to 256. */
  readonly weight: number;
  /** The gateway is on the link, though no address of the interface says so. */
  readonly onlink: boolean;
  /** It leads nowhere: its interface is down, or has no carrier. */
  readonly dead: boolean;
  /**
   * The kernel does not use it, and where it uses no way of a route, looks for another route. A dead one that is not
   * skipped has no carrier, and sysctl ignore_routes_with_linkdown is 0.
   */
  readonly skipped: boolean;
}

/** A nexthop object (ip-nexthop(8)). */
export interface NexthopObject {
  readonly id: number;
  readonly blackhole: boolean;
  /** What it is, unless it is a group. */
  readonly nexthop: NextHop;
  /** Members of a group: objects and their weights. */
  readonly group: readonly { readonly id: number; readonly weight: number }[];
}

export const flagsOf = (flags: number): Pick<NextHop, 'onlink' | 'dead' | 'skipped'> => ({
  onlink: (flags & C.RTNH_F_ONLINK) !== 0,
  dead: (flags & (C.RTNH_F_DEAD | C.RTNH_F_LINKDOWN)) !== 0,
  skipped: (flags & C.RTNH_F_DEAD) !== 0,
});

/** struct nhmsg: u8 family, u8 scope, u8 protocol, u8 reserved, u32 flags. */
export function parseNexthop(body: Bytes): NexthopObject {
  needFixed(body, C.NHMSG_BYTES);
  const attributes = parseAttributes(body, C.NHMSG_BYTES);
  const gateway = attributes.get(C.NHA_GATEWAY)?.bytes;
  const members = attributes.get(C.NHA_GROUP);
  const group = [];
  // struct nexthop_grp: u32 id, u8 weight - 1, 3 bytes of others
  for (let at = 0; members && at + 8 <= members.length; at += 8) {
    group.push({ id: members.u32(at), weight: members.u8(at + 4) + 1 });
  }
  return {
    id: attributes.get(C.NHA_ID)?.u32() ?? 0,
    blackhole: attributes.has(C.NHA_BLACKHOLE),
    nexthop: {
      ifindex: attributes.get(C.NHA_OIF)?.u32() ?? 0,
      gateway: gateway ? addressText(gateway) : '',
      weight: 1,
      ...flagsOf(body.u32(4)),
    },
    group,
  };
}

/** The ways that an object stands for; undefined if it is not there. */
export function resolveNexthops(
  id: number,
  objects: ReadonlyMap<number, NexthopObject>,
): { readonly blackhole: boolean; readonly nexthops: readonly NextHop[] } | undefined {
  const object = objects.get(id);
  if (!object) return undefined;
  if (object.group.length === 0) {
    return { blackhole: object.blackhole, nexthops: object.blackhole ? [] : [object.nexthop] };
  }
  const nexthops = object.group.flatMap((member) => {
    const found = objects.get(member.id);
    return found && !found.blackhole ? [{ ...found.nexthop, weight: member.weight }] : [];
  });
  return { blackhole: nexthops.length === 0, nexthops };
}
