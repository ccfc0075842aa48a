export type { Address } from './address.ts';
export type { Change, Kinds } from './change.ts';
export { KernelMirror, type MirrorChange, type Mirrored, type MirrorOptions } from './kernel-mirror.ts';
export type { Link, OperState } from './link.ts';
export { isUsable, type Neighbour, type NeighbourState } from './neighbour.ts';
export { NetlinkError, type NetlinkErrorCode } from './netlink-error.ts';
export type { NextHop, NexthopObject } from './nexthop.ts';
export type { Route, RouteType } from './route.ts';
export { type Follower, RtNetlink } from './rtnetlink.ts';
