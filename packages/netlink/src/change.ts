import { type Address, parseAddress } from './address.ts';
import * as C from './constants.ts';
import { type Link, parseLink } from './link.ts';
import type { Message } from './message.ts';
import { type Neighbour, parseNeighbour } from './neighbour.ts';
import { type NexthopObject, parseNexthop } from './nexthop.ts';
import { parseRoute, type Route } from './route.ts';

export interface Kinds {
  readonly link: Link;
  readonly address: Address;
  readonly route: Route;
  readonly neighbour: Neighbour;
  readonly nexthop: NexthopObject;
}

/** What the kernel tells: something is there (new or changed), or is gone. */
export type Change = {
  [K in keyof Kinds]: {
    readonly kind: K;
    readonly action: 'new' | 'delete';
    readonly value: Kinds[K];
    /** NLM_F_ flags of the message. */
    readonly flags: number;
  };
}[keyof Kinds];

/** The change that a message tells of; undefined if it is none that we follow. */
export function parseChange({ type, flags, body }: Message): Change | undefined {
  switch (type) {
    case C.RTM_NEWLINK:
    case C.RTM_DELLINK:
      return change('link', type === C.RTM_NEWLINK, parseLink(body), flags);
    case C.RTM_NEWADDR:
    case C.RTM_DELADDR:
      return change('address', type === C.RTM_NEWADDR, parseAddress(body), flags);
    case C.RTM_NEWROUTE:
    case C.RTM_DELROUTE:
      return change('route', type === C.RTM_NEWROUTE, parseRoute(body), flags);
    case C.RTM_NEWNEIGH:
    case C.RTM_DELNEIGH:
      return change('neighbour', type === C.RTM_NEWNEIGH, parseNeighbour(body), flags);
    case C.RTM_NEWNEXTHOP:
    case C.RTM_DELNEXTHOP:
      return change('nexthop', type === C.RTM_NEWNEXTHOP, parseNexthop(body), flags);
    default:
      return undefined;
  }
}

function change<K extends keyof Kinds>(
  kind: K,
  is: boolean,
  value: Kinds[K] | undefined,
  flags: number,
): Change | undefined {
  return value && ({ kind, action: is ? 'new' : 'delete', value, flags } as unknown as Change);
}
