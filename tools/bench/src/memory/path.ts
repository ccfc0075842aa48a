import { DPO, IpTables, RouteTable } from '@lbd/fib';
import { FeatureTable, secondsAt } from '@lbd/graph';
import { InterfaceTable, type PortInfo } from '@lbd/io';
import { allocateLb, ENCAP_FAN_OUT, encapOptions, type LbHost, LoadBalancer, lbFeatures } from '@lbd/lb';
import { type Arena, Epochs } from '@lbd/memory';
import { addressBytes } from '@lbd/packet';
import { buildGraph, loadParts } from 'lbd';
import type { Case } from './cases.ts';
import { BENCH, benchDriver } from './driver.ts';
import type { Pool } from './nodes.ts';
import { Rig } from './rig.ts';
import { ADDRESSES, MAC, TARGET_PORT, type Templates, VIP_PORT } from './templates.ts';

/** As in the C reference. */
const SERVERS = 256;
const NEW_FLOW_SLOTS = 16384;
const MTU = 1500;
const PORT: PortInfo = { driver: BENCH, index: 0, name: 'bench0', ifindex: 0, mode: '', queues: 1, details: undefined };
const IFINDEX = 1;

/**
 * lbd's own graph, all of it, between a generator and a sink; with the tables set up as the C reference has them: one VIP with
 * 256 servers, each a neighbour, and a sticky bucket for each flow. For replies there is one server, and all flows have
 * begun.
 */
export async function buildPath(arena: Arena, pool: Pool, of: Case, templates: Templates): Promise<Rig> {
  const { flows } = templates;
  const epochs = new Epochs(arena, 1);
  const tables = new IpTables(arena);
  const lb = allocateLb(arena, { workers: 1, buckets: Math.max(1024, flows) });
  const { encaps, encapPackages } = await loadParts({ drivers: [], plugins: [] });
  const addresses = { fib4: tables.fib4.address, fib6: tables.fib6.address };
  // A tenth of the flows is new each second of the measurements with new flows.
  const sessions = Math.max(4096, 4 * flows);
  const encapStates: unknown[] = [];
  for (const encap of encaps) {
    const measured = encap.name === of.encap;
    const options = encap.name.startsWith('nat') ? { sessions: measured ? sessions : 1024 } : {};
    encapStates.push(encap.allocate?.(arena, await encapOptions(encap, options), addresses));
  }
  const plan = { drivers: [BENCH], ports: [PORT], plugins: [], tables: tables.addresses, lb, encapStates };
  const rig = await Rig.create(arena, buildGraph(plan, { drivers: [benchDriver(pool)], encaps, encapPackages }), pool);

  const features = new FeatureTable(arena.memory, rig.graph, rig.layout);
  for (const { node } of lbFeatures) features.set(node, PORT.index, true);
  if (of.reply) features.set(`lb-${of.encap}-in2out`, PORT.index, true);
  new InterfaceTable(arena.memory, rig.layout.interfaces).add({ name: PORT.name, up: true, mac: MAC });

  const routes = new RouteTable(tables);
  const link = { ifindex: IFINDEX, name: PORT.name, mac: MAC, mtu: MTU, up: true, carrier: true };
  routes.apply({ kind: 'link', before: undefined, now: link });
  routes.attach(IFINDEX, PORT.index);
  const way = (destination: string, gateway = '') => {
    const nexthops = [{ ifindex: IFINDEX, gateway, weight: 1, dead: false }];
    routes.apply({
      kind: 'route',
      before: undefined,
      now: { destination, table: 254, type: 'unicast', metric: 0, tos: 0, nexthops },
    });
  };
  const neighbour = (address: string) => {
    const mac = `02:00:00:01:00:${addressBytes(address).at(-1)!.toString(16).padStart(2, '0')}`;
    routes.apply({ kind: 'neighbour', before: undefined, now: { ifindex: IFINDEX, address, mac, state: 'permanent' } });
  };
  const { server } = ADDRESSES[of.encap.endsWith('6') ? 6 : 4];
  const servers = Array.from({ length: of.reply ? 1 : SERVERS }, (_, n) => server(n));
  way('10.1.0.0/16');
  way('2001:db8:2::/64');
  servers.forEach(neighbour);
  for (const family of [4, 6] as const) {
    const gateway = family === 4 ? '10.1.2.1' : '2001:db8:2::2:1';
    neighbour(gateway);
    way(ADDRESSES[family].clients, gateway);
  }

  const place = (fanOut: string, node: string) => rig.graph.fanOuts.get(fanOut)!.indexOf(node);
  const host: LbHost = {
    arena,
    epochs,
    now: () => secondsAt(performance.now()),
    lookup: (address) => routes.lookup(addressBytes(address)),
    track(address, changed) {
      const tracker = routes.track(address, changed);
      return { close: () => tracker.stop() };
    },
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
  const prefix = `${ADDRESSES[of.vipFamily].vip}/${of.vipFamily === 4 ? 32 : 128}`;
  const vip = of.perPort ? ({ prefix, protocol: 'udp', port: VIP_PORT } as const) : { prefix };
  await balancer.addVip({
    ...vip,
    encap: of.encap,
    type: 'clusterip',
    ...(of.encap.startsWith('nat') ? { targetPort: TARGET_PORT } : {}),
    ...(of.encap === 'l3dsr' ? { dscp: 7 } : {}),
    newLen: NEW_FLOW_SLOTS,
    srcIpSticky: false,
  });
  await balancer.addServers({ vip, addresses: servers, flush: false });
  if (of.reply) {
    rig.pass(2 * flows + 1024);
    templates.fill(true);
  }
  return rig;
}
