export { Adjacencies, type Link } from './adjacencies.ts';
export { DpoFormats, dpo, dpoIndex, dpoType, NO_ROUTE } from './dpo.ts';
export { FibError } from './errors.ts';
export { Fib4, type Fib4Entry } from './fib4.ts';
export { Fib6, type Fib6Entry, type Fib6Options } from './fib6.ts';
export type {
  KernelChange,
  KernelLink,
  KernelNeighbour,
  KernelNextHop,
  KernelRoute,
} from './kernel-changes.ts';
export * from './layout.ts';
export { LoadBalances, type WeightedDpo } from './load-balances.ts';
export type { ResolveRequest } from './nodes/glean.ts';
export type { IcmpErrorLimit } from './nodes/icmp.ts';
export { addIpNodes, type IpNodeOptions } from './nodes/index.ts';
export { DPO } from './nodes/lookup.ts';
export { lookupCounters } from './nodes/lookup-counters.ts';
export { type Quiescence, Reclaimer } from './reclaimer.ts';
export { type RouteEntry, RouteTable, type RouteTableOptions, type Tracker } from './route-table.ts';
export { IpTables, type TableAddresses } from './tables.ts';
