import { addIpNodes, IpTables } from '@lbd/fib';
import { allocateGraph, compileKernels, Graph, isKernel, type NodeDeclaration, Runtime } from '@lbd/graph';
import { allocateLb, ENCAP_FAN_OUT, type Encap, encapOptions, lbFeatures, lbNodes, type VipSpec } from '@lbd/lb';
import { Arena, Epochs } from '@lbd/memory';
import { checkDeclarations, modulesOf } from './declarations.ts';
import { checkKernels } from './kernels.ts';

/**
 * Does with an encap what lbd would do at its start, in a memory of its own: allocates, declares its nodes, links them into
 * the graph, instantiates and calls the kernels.
 * @param given what the configuration says of the encap
 * @param memoryBytes size of the memory, as configured
 * @throws whatever goes wrong
 */
export async function rehearse(encap: Encap, given: unknown, memoryBytes: number): Promise<void> {
  const arena = Arena.create(memoryBytes);
  const { memory } = arena;
  const epochs = new Epochs(arena, 1);
  const lb = allocateLb(arena, { workers: 1, maxVips: 16, maxServers: 16 });
  const tables = new IpTables(arena, epochs);
  const fib = { fib4: tables.fib4.address, fib6: tables.fib6.address };
  const options = await encapOptions(encap, given);
  const state = sendable(encap, encap.allocate?.(arena, options, fib));
  const nodes: unknown = encap.nodes(lb, state);
  checkDeclarations(encap, nodes);
  checkSame(encap, nodes, encap.nodes(lb, state));
  for (const module of modulesOf(nodes)) await checkKernels(module);

  const graph = new Graph().add(endOf('punt'), endOf('interface-output'));
  addIpNodes(graph, tables.addresses);
  graph.add(...lbNodes(lb, [encap]), ...nodes);
  graph.fanOut('dpo', 'lb4', 'lb4-port', 'lb6', 'lb6-port');
  graph.fanOut(ENCAP_FAN_OUT, encap.name);
  for (const feature of [...lbFeatures, ...(encap.features ?? [])]) graph.feature(feature);
  for (const shortcut of encap.shortcuts ?? []) graph.shortcut(shortcut);
  const linked = graph.link();
  const layout = allocateGraph(arena, linked, { workers: 1, buffersPerWorker: 256 });
  const modules = await compileKernels(linked);
  new Runtime(memory, linked, layout, 0, modules);
  const worker = layout.workers[0]!;
  for (const { name, process } of nodes) {
    if (!isKernel(process)) continue;
    const kernel = memory.instantiate(modules.get(process.module.href)!)[process.export] as (
      ...words: number[]
    ) => unknown;
    const block = worker.nodes[linked.byName.get(name)!.index]!;
    const slot = kernel(block, worker.vectors[0]!, 0, worker.nexts);
    if (typeof slot === 'number') continue;
    throw new TypeError(
      `encap ${encap.name}: node ${name}: kernel ${process.export} returns ${typeof slot}: must be a slot, i32`,
    );
  }
  encap.control?.({ arena, epochs, lb, now: () => 0 }, state);
  checkWords(encap);
}

/** Workers are sent what an encap allocates. */
function sendable(encap: Encap, state: unknown): unknown {
  try {
    return structuredClone(state);
  } catch (error) {
    const why = (error as Error).message;
    throw new TypeError(
      `encap ${encap.name}: allocate() returns what can't be sent to workers (${why}): must be plain data`,
    );
  }
}

/** Every thread must get the same graph. */
function checkSame(encap: Encap, first: readonly NodeDeclaration[], second: readonly NodeDeclaration[]): void {
  const shape = (nodes: readonly NodeDeclaration[]) =>
    JSON.stringify(
      nodes.map(({ name, next, fanOut, counters, dataBytes }) => [name, next, fanOut, counters, dataBytes]),
    );
  if (shape(first) === shape(second)) return;
  throw new TypeError(
    `encap ${encap.name}: nodes() returns something else each time: must be the same in every thread`,
  );
}

function checkWords(encap: Encap): void {
  const vip: VipSpec = {
    prefix: encap.vipFamilies[0] === 4 ? '192.0.2.1/32' : '2001:db8::1/128',
    encap: encap.name,
    type: 'clusterip',
    newLen: 1024,
    srcIpSticky: false,
    ...(encap.vip.port === 'required' ? { protocol: 'tcp', port: 80 } : {}),
    ...(encap.vip.targetPort === 'required' ? { targetPort: 8080 } : {}),
    ...(encap.vip.dscp === 'required' ? { dscp: 1 } : {}),
  };
  const words: unknown = encap.show?.(vip);
  if (words === undefined || typeof words === 'string') return;
  throw new TypeError(`encap ${encap.name}: show() returns ${typeof words}: must be text`);
}

/** Stands where the drivers' nodes are. */
function endOf(name: string): NodeDeclaration {
  return { name, kind: 'output', process: () => 0 };
}
