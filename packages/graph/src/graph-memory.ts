import type { Arena, Memory } from '@lbd/memory';
import { GraphError } from './errors.ts';
import type { LinkedGraph, LinkedNode } from './graph.ts';
import * as L from './layout.ts';

/** Addresses of what one worker of a graph works with. Plain data. */
export interface WorkerLayout {
  readonly index: number;
  /** The worker block, WORKER_ words. */
  readonly block: number;
  /** Node blocks, by node index. */
  readonly nodes: readonly number[];
  /** Counters, u64 each, by graph-wide index. */
  readonly counters: number;
  /** Statistics, STATS_BYTES a node. */
  readonly stats: number;
  /** Interface counters, INTERFACE_COUNTER_BYTES an interface. */
  readonly interfaceCounters: number;
  /** Vectors, VECTOR_SIZE u32 each. */
  readonly vectors: readonly number[];
  /** The u16 next slots of the vector under way. */
  readonly nexts: number;
}

/** Where a linked graph lives in the memory. Plain data: sent to the workers. */
export interface GraphLayout {
  readonly frames: number;
  readonly metadata: number;
  readonly buffersPerWorker: number;
  readonly interfaces: number;
  /** Feature tables, by arc: a row of FEATURE_STRIDE u16 for each interface. */
  readonly arcs: Readonly<Record<string, number>>;
  readonly workers: readonly WorkerLayout[];
}

/** Statistics of a node in one worker, four f64: calls, packets, nanoseconds, and 1 if it is disabled. */
export const STATS_BYTES = 32;
export const STATS_DISABLED = 24;

const PAGE = 4096;

export interface GraphSizes {
  /** Worker threads. */
  readonly workers: number;
  /** Buffers (frames of 2048 bytes) of each worker. */
  readonly buffersPerWorker: number;
}

/** Where the buffers of all workers are. Plain data. */
export interface BufferAddresses {
  /** Address of frame 0; frames of all workers follow each other. */
  readonly frames: number;
  readonly metadata: number;
}

/** Makes room for buffers. Before the graph, if drivers must open their ports before their nodes can be declared. */
export function allocateBuffers(arena: Arena, { workers, buffersPerWorker }: GraphSizes): BufferAddresses {
  if (!Number.isInteger(workers) || workers < 1) throw new RangeError(`workers: ${workers}: must be 1 or more`);
  if (!Number.isInteger(buffersPerWorker) || buffersPerWorker < L.VECTOR_SIZE) {
    throw new RangeError(`buffers per worker: ${buffersPerWorker}: must be ${L.VECTOR_SIZE} or more`);
  }
  const buffers = workers * buffersPerWorker;
  return {
    frames: arena.allocate('buffers: frames', buffers * L.FRAME_BYTES, PAGE),
    metadata: arena.allocate('buffers: metadata', buffers * L.METADATA_BYTES, PAGE),
  };
}

/** Makes room for a linked graph and fills in what kernels read, calling each node's `init` for each worker. */
export function allocateGraph(
  arena: Arena,
  graph: LinkedGraph,
  sizes: GraphSizes,
  { frames, metadata }: BufferAddresses = allocateBuffers(arena, sizes),
): GraphLayout {
  const { workers, buffersPerWorker } = sizes;
  const interfaces = arena.allocate('interface table', L.MAX_INTERFACES << L.INTERFACE_SHIFT);
  const arcs: Record<string, number> = {};
  for (const arc of graph.arcs.values()) {
    arcs[arc.name] = arena.allocate(`feature arc ${arc.name}`, L.ARC_BYTES);
  }
  const shared = { frames, metadata, buffersPerWorker, interfaces, arcs };
  return {
    ...shared,
    workers: Array.from({ length: workers }, (_, index) => allocateWorker(arena, graph, shared, index)),
  };
}

function allocateWorker(
  arena: Arena,
  graph: LinkedGraph,
  shared: Omit<GraphLayout, 'workers'>,
  index: number,
): WorkerLayout {
  const { memory } = arena;
  const label = `worker ${index}`;
  const { buffersPerWorker } = shared;
  const block = arena.allocate(`${label}: block`, L.WORKER_BYTES);
  const counters = arena.allocate(`${label}: counters`, graph.counters.length * 8);
  const interfaceCounters = arena.allocate(
    `${label}: interface counters`,
    L.MAX_INTERFACES * L.INTERFACE_COUNTER_BYTES,
  );
  const nexts = arena.allocate(`${label}: next slots`, L.VECTOR_SIZE * 2);
  // Each vector in use holds a packet at least: one open per node, full ones, and the one under way.
  const vectorCount = graph.nodes.length + Math.ceil(buffersPerWorker / L.VECTOR_SIZE) + 2;
  const vectorBytes = L.VECTOR_SIZE * 4;
  const firstVector = arena.allocate(`${label}: vectors`, vectorCount * vectorBytes);
  const free = arena.allocate(`${label}: free buffers`, buffersPerWorker * 4);
  const first = index * buffersPerWorker;
  for (let i = 0; i < buffersPerWorker; i++) memory.u32[(free >>> 2) + i] = first + buffersPerWorker - 1 - i;
  const words: Array<[number, number]> = [
    [L.WORKER_INDEX, index],
    [L.WORKER_FRAMES, shared.frames],
    [L.WORKER_METADATA, shared.metadata],
    [L.WORKER_FREE, free],
    [L.WORKER_FREE_COUNT, buffersPerWorker],
    [L.WORKER_INTERFACES, shared.interfaces],
    [L.WORKER_BUFFERS, buffersPerWorker],
    [L.WORKER_FIRST_BUFFER, first],
    [L.WORKER_NEXTS, nexts],
    [L.WORKER_INTERFACE_COUNTERS, interfaceCounters],
    [L.WORKER_COUNTERS, counters],
  ];
  for (const [offset, word] of words) memory.u32[(block + offset) >>> 2] = word;
  const countersOf = (name: string) => counters + (graph.byName.get(name)?.firstCounter ?? 0) * 8;
  const nodes = graph.nodes.map((node) => allocateNode(arena, node, shared, { block, countersOf, index }));
  return {
    index,
    block,
    nodes,
    counters,
    stats: arena.allocate(`${label}: statistics`, graph.nodes.length * STATS_BYTES),
    interfaceCounters,
    vectors: Array.from({ length: vectorCount }, (_, i) => firstVector + i * vectorBytes),
    nexts,
  };
}

function allocateNode(
  arena: Arena,
  node: LinkedNode,
  shared: Omit<GraphLayout, 'workers'>,
  worker: { block: number; countersOf: (node: string) => number; index: number },
): number {
  const { memory } = arena;
  const { declaration } = node;
  const address = arena.allocate(
    `worker ${worker.index}: node ${declaration.name}`,
    L.NODE_DATA + (declaration.dataBytes ?? 0),
  );
  const words: Array<[number, number]> = [
    [L.NODE_WORKER, worker.block],
    [L.NODE_COUNTERS, worker.countersOf(declaration.name)],
    [L.NODE_REASON, node.firstCounter],
    [L.NODE_FANOUT, node.fanOutSlot],
    [L.NODE_ARC, shared.arcs[(node.arc ?? node.watches)?.name ?? ''] ?? 0],
    [L.NODE_POSITION, node.arc?.position ?? 0],
    [L.NODE_ARC_END, node.watches?.endSlot ?? 0],
    ...(node.standsFor ?? []).flatMap(({ node: feature, position }, i): Array<[number, number]> => {
      const at = L.NODE_STANDS_FOR + i * L.STANDS_FOR_STRIDE;
      return [
        [at, position === 0 ? 0 : 1 << position],
        [at + 4, worker.countersOf(feature)],
      ];
    }),
  ];
  for (const [offset, word] of words) memory.u32[(address + offset) >>> 2] = word;
  declaration.init?.(memory, address + L.NODE_DATA, worker.index);
  return address;
}

/**
 * The features enabled on each interface. Enabling stores a few words; workers follow from their next packet on. An arc
 * without features enabled goes straight from its start to its end.
 */
export class FeatureTable {
  readonly #memory: Memory;
  readonly #graph: LinkedGraph;
  readonly #layout: GraphLayout;
  readonly #enabled = new Map<string, Set<string>>();

  constructor(memory: Memory, graph: LinkedGraph, layout: GraphLayout) {
    this.#memory = memory;
    this.#graph = graph;
    this.#layout = layout;
    for (const arc of graph.arcs.keys()) for (let i = 0; i < L.MAX_INTERFACES; i++) this.#write(arc, i);
  }

  /** Turns a feature node on or off on an interface. @throws GraphError if the node is no feature. */
  set(node: string, interfaceIndex: number, on: boolean): void {
    const place = this.#graph.byName.get(node)?.arc;
    if (!place || place.position === 0) throw new GraphError('LBD_GRAPH_UNKNOWN', `node ${node} is not a feature`);
    const enabled = this.#on(place.name, interfaceIndex);
    if (on) enabled.add(node);
    else enabled.delete(node);
    this.#write(place.name, interfaceIndex);
  }

  /** Features enabled on an interface, in order. */
  enabled(arc: string, interfaceIndex: number): string[] {
    const on = this.#on(arc, interfaceIndex);
    return (this.#graph.arcs.get(arc)?.path ?? []).filter((name) => on.has(name));
  }

  #on(arc: string, interfaceIndex: number): Set<string> {
    const key = `${arc}/${interfaceIndex}`;
    const on = this.#enabled.get(key) ?? new Set<string>();
    this.#enabled.set(key, on);
    return on;
  }

  #write(arc: string, interfaceIndex: number): void {
    const { path } = this.#graph.arcs.get(arc)!;
    const on = this.#on(arc, interfaceIndex);
    const table = this.#layout.arcs[arc]!;
    const row = (table >>> 1) + interfaceIndex * L.FEATURE_STRIDE;
    const mask = path.reduce((bits, name, position) => (on.has(name) ? bits | (1 << position) : bits), 0);
    this.#memory.u16[((table + L.FEATURE_MASKS) >>> 1) + interfaceIndex] = mask;
    let next = path.length - 1;
    for (let position = path.length - 2; position >= 0; position--) {
      const { slot } = this.#graph.byName.get(path[position]!)!.arc!;
      this.#memory.u16[row + position] = slot + next - 1;
      if (on.has(path[position]!)) next = position;
    }
  }
}
