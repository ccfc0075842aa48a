import { FeatureTable, Graph, INTERFACE_MAC, INTERFACE_MTU, INTERFACE_SHIFT } from '@lbd/graph';
import { TestBench } from '@lbd/graph/testing';
import { Arena } from '@lbd/memory';
import { macBytes } from '@lbd/packet';
import { addIpNodes, IpTables, RouteTable } from '../src/index.ts';

/** Interface n of lbd is 10 + n of the kernel. */
export const IFINDEX = (index: number) => 10 + index;
export const OUR_MAC = (index: number) => `02:00:00:00:01:0${index}`;
export const THEIR_MAC = '02:00:00:00:02:01';

export interface IpBench {
  readonly bench: TestBench;
  readonly tables: IpTables;
  readonly routes: RouteTable;
  readonly posted: unknown[];
  readonly features: FeatureTable;
  clock: number;
}

/**
 * A graph of the IP nodes whose ends are sinks: `interface-output` and `punt` take what comes. Interfaces 0 (10.0.0.1/24,
 * fd00::/64) and 1 (10.1.0.1/24, fd01::/64).
 */
export async function ipBench(into: string): Promise<IpBench> {
  const arena = Arena.create(128 * 1024 * 1024);
  const tables = new IpTables(arena, undefined, { fib6: { prefixes: 1024 } });
  const routes = new RouteTable(tables);
  const graph = new Graph();
  addIpNodes(graph, tables.addresses);
  const posted: unknown[] = [];
  const made = { tables, routes, posted, clock: 0 };
  const bench = await TestBench.create(graph, into, {
    arena,
    reach: ['interface-output', 'punt'],
    runtime: { onPost: (message) => posted.push(message), clock: () => made.clock },
  });
  const features = new FeatureTable(arena.memory, bench.graph, bench.layout);
  for (const index of [0, 1]) {
    const at = bench.layout.interfaces + (index << INTERFACE_SHIFT);
    arena.memory.u8.set(macBytes(OUR_MAC(index)), at + INTERFACE_MAC);
    arena.memory.u32[(at + INTERFACE_MTU) >>> 2] = 1500;
    routes.attach(IFINDEX(index), index);
    const link = {
      ifindex: IFINDEX(index),
      name: `eth${index}`,
      mac: OUR_MAC(index),
      mtu: 1500,
      up: true,
      carrier: true,
    };
    routes.apply({ kind: 'link', before: undefined, now: link });
    connect(routes, `10.${index}.0.0/24`, index);
    connect(routes, `fd0${index}::/64`, index);
  }
  return Object.assign(made, { bench, features });
}

/** Adds a route over an interface, or over a gateway there. */
export function connect(routes: RouteTable, destination: string, index: number, gateway = '', type = 'unicast'): void {
  const nexthops = [{ ifindex: IFINDEX(index), gateway, weight: 1, dead: false }];
  const now = { destination, table: 254, type, metric: 0, tos: 0, nexthops };
  routes.apply({ kind: 'route', before: undefined, now });
}

export function learn(routes: RouteTable, index: number, address: string, mac: string = THEIR_MAC): void {
  const now = { ifindex: IFINDEX(index), address, mac, state: mac ? 'reachable' : 'failed' };
  routes.apply({ kind: 'neighbour', before: undefined, now });
}
