import { DPO, IpTables, RouteTable } from '@lbd/fib';
import { FeatureTable, secondsAt } from '@lbd/graph';
import { InterfaceTable, type PortInfo } from '@lbd/io';
import { allocateLb, ENCAP_FAN_OUT, encapOptions, type LbHost, LoadBalancer, lbFeatures } from '@lbd/lb';
import { type Arena, Epochs } from '@lbd/memory';
import { addressBytes } from '@lbd/packet';
import { buildGraph, loadParts } from 'lbd';
import { BENCH, benchDriver } from './driver.ts';
import type { Pool } from './nodes.ts';
import { Rig } from './rig.ts';
import { MAC } from './templates.ts';

const MTU = 1500;
const PORT: PortInfo = { driver: BENCH, index: 0, name: 'bench0', ifindex: 0, mode: '', queues: 1, details: undefined };
const IFINDEX = 1;

export interface BenchSizes {
  /** Sticky buckets, a power of two. */
  readonly buckets: number;
  /** NAT sessions of each encap that has them. */
  readonly sessions: (encap: string) => number;
  readonly maxVips?: number;
  readonly maxServers?: number;
}

/** lbd's own graph and control plane, with a generator and a sink as its one interface, in this thread. */
export class BenchBalancer {
  readonly balancer: LoadBalancer;
  readonly rig: Rig;
  readonly routes: RouteTable;

  private constructor(balancer: LoadBalancer, rig: Rig, routes: RouteTable) {
    this.balancer = balancer;
    this.rig = rig;
    this.routes = routes;
  }

  static async create(arena: Arena, pool: Pool, sizes: BenchSizes): Promise<BenchBalancer> {
    const epochs = new Epochs(arena, 1);
    const tables = new IpTables(arena);
    const { buckets, maxVips, maxServers } = sizes;
    const lb = allocateLb(arena, {
      workers: 1,
      buckets,
      ...(maxVips && { maxVips }),
      ...(maxServers && { maxServers }),
    });
    const { encaps, encapPackages } = await loadParts({ drivers: [], plugins: [] });
    const addresses = { fib4: tables.fib4.address, fib6: tables.fib6.address };
    const encapStates: unknown[] = [];
    for (const encap of encaps) {
      const options = encap.name.startsWith('nat') ? { sessions: sizes.sessions(encap.name) } : {};
      encapStates.push(encap.allocate?.(arena, await encapOptions(encap, options), addresses));
    }
    const plan = { drivers: [BENCH], ports: [PORT], plugins: [], tables: tables.addresses, lb, encapStates };
    const rig = await Rig.create(
      arena,
      buildGraph(plan, { drivers: [benchDriver(pool)], encaps, encapPackages }),
      pool,
    );

    const features = new FeatureTable(arena.memory, rig.graph, rig.layout);
    for (const { node } of lbFeatures) features.set(node, PORT.index, true);
    new InterfaceTable(arena.memory, rig.layout.interfaces).add({ name: PORT.name, up: true, mac: MAC });

    const routes = new RouteTable(tables);
    const link = { ifindex: IFINDEX, name: PORT.name, mac: MAC, mtu: MTU, up: true, carrier: true };
    routes.apply({ kind: 'link', before: undefined, now: link });
    routes.attach(IFINDEX, PORT.index);

    const place = (fanOut: string, node: string) => rig.graph.fanOuts.get(fanOut)!.indexOf(node);
    const host: LbHost = {
      arena,
      epochs,
      now: () => secondsAt(performance.now()),
      lookup: (address) => routes.lookup(addressBytes(address)),
      track: (address, changed) => routes.track(address, changed),
      addPrefix: (prefix, word) => routes.addSpecial(prefix, word),
      removePrefix: (prefix) => routes.removeSpecial(prefix),
      addReturn() {},
      removeReturn() {},
      addNodePort() {},
      removeNodePort() {},
      addTunnelSource() {},
      removeTunnelSource() {},
      describe: String,
      dpoTypes: {
        lb4: place(DPO, 'lb4'),
        'lb4-port': place(DPO, 'lb4-port'),
        lb6: place(DPO, 'lb6'),
        'lb6-port': place(DPO, 'lb6-port'),
      },
      encapPlace: (name) => place(ENCAP_FAN_OUT, name),
      onWorkers: async () => {},
    };
    const controls = new Map(
      encaps.flatMap((encap, i) => {
        const control = encap.control?.({ arena, epochs, lb, now: host.now }, encapStates[i]);
        return control ? [[encap.name, control] as const] : [];
      }),
    );
    const balancer = new LoadBalancer(host, lb, encaps, controls);
    await balancer.lbConf({ ip4SrcAddress: '39.40.41.42', ip6SrcAddress: '2004::1' });
    return new BenchBalancer(balancer, rig, routes);
  }

  /** Enables a feature on the interface. */
  enable(arena: Arena, node: string): void {
    new FeatureTable(arena.memory, this.rig.graph, this.rig.layout).set(node, PORT.index, true);
  }

  /** A route: over a gateway, or to the link itself. */
  route(destination: string, gateway = ''): void {
    const nexthops = [{ ifindex: IFINDEX, gateway, weight: 1, dead: false }];
    this.routes.apply({
      kind: 'route',
      before: undefined,
      now: { destination, table: 254, type: 'unicast', metric: 0, tos: 0, nexthops },
    });
  }

  /** A neighbour on the link, with a MAC address made of the last byte of its own. */
  neighbour(address: string): void {
    const mac = `02:00:00:01:00:${addressBytes(address).at(-1)!.toString(16).padStart(2, '0')}`;
    const now = { ifindex: IFINDEX, address, mac, state: 'permanent' };
    this.routes.apply({ kind: 'neighbour', before: undefined, now });
  }
}
