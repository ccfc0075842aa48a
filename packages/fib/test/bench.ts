import {
  FeatureTable,
  FreeStack,
  Graph,
  INTERFACE_IP4,
  INTERFACE_IP6,
  INTERFACE_MAC,
  INTERFACE_MTU,
  INTERFACE_SHIFT,
  type NodeDeclaration,
} from '@lbd/graph';
import { TestBench } from '@lbd/graph/testing';
import { Arena } from '@lbd/memory';
import { addressBytes, macBytes } from '@lbd/packet';
import { addIpNodes, type IpNodeOptions, IpTables, RouteTable } from '../src/index.ts';

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
export async function ipBench(
  into: string,
  options: IpNodeOptions & { readonly extend?: (graph: Graph) => void; readonly buffers?: number } = {},
): Promise<IpBench> {
  const arena = Arena.create(128 * 1024 * 1024);
  const tables = new IpTables(arena, undefined, { fib6: { prefixes: 1024 } });
  const routes = new RouteTable(tables);
  const graph = new Graph();
  addIpNodes(graph, tables.addresses, options);
  options.extend?.(graph);
  const posted: unknown[] = [];
  const made = { tables, routes, posted, clock: 0 };
  const bench = await TestBench.create(graph, into, {
    arena,
    reach: ['interface-output', 'punt'],
    ...(options.buffers !== undefined && { sizes: { buffersPerWorker: options.buffers } }),
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

/** Gives an interface the addresses that it sends ICMP errors from. */
export function setAddress({ bench }: IpBench, index: number, ip4: string, ip6: string): void {
  const at = bench.layout.interfaces + (index << INTERFACE_SHIFT);
  bench.arena.memory.u8.set(addressBytes(ip4), at + INTERFACE_IP4);
  bench.arena.memory.u8.set(addressBytes(ip6), at + INTERFACE_IP6);
}

/** Buffers that nobody has. */
export function freeBuffers({ bench }: IpBench): FreeStack {
  return new FreeStack(bench.arena.memory.u32, bench.layout.workers[0]!.block);
}

/** Makes a function that says what has been counted since now: `node: counter`, with how often. */
export function counter({ bench }: IpBench): () => Record<string, number> {
  const values = () => bench.stats.counters().map(({ node, name, value }) => [`${node}: ${name}`, value] as const);
  const before = new Map(values());
  return () => {
    const more = values().map(([name, value]) => [name, Number(value - before.get(name)!)] as const);
    return Object.fromEntries(more.filter(([, n]) => n > 0));
  };
}

/** A packet as a node saw it. */
export interface Seen {
  readonly bytes: Uint8Array;
  readonly data: number;
  readonly rx: number;
  readonly flags: number;
  readonly l4: number;
  readonly protocol: number;
  readonly hash: number;
  /** 14 bytes from where drivers place packets. */
  readonly ethernet: Uint8Array;
}

/** A node that notes packets, and frees their buffers. */
export function spyNode(name: string, seen: Seen[]): NodeDeclaration {
  return {
    name,
    kind: 'output',
    process(context, vector, count) {
      const free = new FreeStack(context.memory.u32, context.worker);
      for (let i = 0; i < count; i++) {
        const packet = context.packet(vector[i]!);
        const { data, rx, flags, l4, protocol, hash } = packet;
        const frame = packet.address - data;
        const ethernet = context.memory.u8.slice(frame + 256, frame + 270);
        seen.push({ bytes: new Uint8Array(packet.bytes), data, rx, flags, l4, protocol, hash, ethernet });
        free.push(vector[i]!);
      }
      return 0;
    },
  };
}
