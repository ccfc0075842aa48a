/**
 * The graph of lbd, from plain data: the main thread builds it to allocate and describe it, each worker to run it. All
 * must get the same one, so nothing else may decide what is in it.
 */
import { addIpNodes, DPO, DpoFormats, type TableAddresses } from '@lbd/fib';
import { Graph } from '@lbd/graph';
import { type Driver, interfaceOutputNode, OUTPUT, type PortInfo, PUNT, puntNode } from '@lbd/io';
import {
  ENCAP_FAN_OUT,
  type Encap,
  EXPRESS_FAN_OUT,
  expressNodes,
  type LbHandles,
  lbFeatures,
  lbNodes,
  lbShortcuts,
} from '@lbd/lb';
import { loadDriver } from './drivers.ts';
import { loadEncaps } from './encaps.ts';
import { setVipWords } from './vip-words.ts';

/** What decides about the graph. Structured-cloneable. */
export interface GraphPlan {
  /** Drivers in use; a driver's place is INTERFACE_DRIVER of its interfaces. */
  readonly drivers: readonly string[];
  readonly ports: readonly PortInfo[];
  readonly plugins: readonly string[];
  readonly tables: TableAddresses;
  readonly lb: LbHandles;
  /** What each encap allocated, in the order in which encaps are loaded. */
  readonly encapStates: readonly unknown[];
}

/** The code that a plan names. */
export interface GraphParts {
  readonly drivers: readonly Driver[];
  readonly encaps: readonly Encap[];
  /** The package of each encap. */
  readonly encapPackages: readonly string[];
}

export async function loadParts(plan: Pick<GraphPlan, 'drivers' | 'plugins'>): Promise<GraphParts> {
  const [drivers, loaded] = await Promise.all([Promise.all(plan.drivers.map(loadDriver)), loadEncaps(plan.plugins)]);
  return { drivers, encaps: loaded.map(({ encap }) => encap), encapPackages: loaded.map(({ from }) => from) };
}

/** Declares all nodes. Order matters where packages share a fan-out: members are known by their places. */
export function buildGraph(plan: GraphPlan, { drivers, encaps }: GraphParts): Graph {
  const graph = new Graph();
  graph.add(interfaceOutputNode, puntNode);
  for (const driver of drivers) {
    graph.add(...driver.nodes(plan.ports.filter((port) => port.driver === driver.name)));
    graph.fanOut(OUTPUT, `${driver.name}-output`);
    graph.fanOut(PUNT, `${driver.name}-punt`);
  }
  const words = new DpoFormats();
  addIpNodes(graph, plan.tables, { words });
  graph.add(...lbNodes(plan.lb, encaps));
  for (const feature of lbFeatures) graph.feature(feature);
  const choosing = ['lb4', 'lb4-port', 'lb6', 'lb6-port'];
  const firstType = graph.fanOut(DPO, ...choosing);
  const typeOf = (node: string) => firstType + choosing.indexOf(node);
  setVipWords(words, typeOf);
  graph.add(
    ...expressNodes(
      plan.lb,
      plan.tables,
      {
        lb4: typeOf('lb4'),
        'lb4-port': typeOf('lb4-port'),
        lb6: typeOf('lb6'),
        'lb6-port': typeOf('lb6-port'),
      },
      encaps.flatMap(({ features = [] }) => features),
    ),
  );
  for (const shortcut of lbShortcuts) graph.shortcut(shortcut);
  encaps.forEach((encap, i) => {
    graph.add(...encap.nodes(plan.lb, plan.encapStates[i]));
    graph.fanOut(ENCAP_FAN_OUT, encap.name);
    graph.fanOut(EXPRESS_FAN_OUT, encap.express ?? encap.name);
    for (const feature of encap.features ?? []) graph.feature(feature);
    for (const shortcut of encap.shortcuts ?? []) graph.shortcut(shortcut);
  });
  return graph;
}

/** A node's place in a fan-out, by which tables refer to it. */
export function placeIn(fanOuts: ReadonlyMap<string, readonly string[]>, fanOut: string, node: string): number {
  const place = fanOuts.get(fanOut)?.indexOf(node) ?? -1;
  if (place < 0) throw new RangeError(`node ${node} is no member of the fan-out ${fanOut}`);
  return place;
}
