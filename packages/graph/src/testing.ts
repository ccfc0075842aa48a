import { Arena } from '@lbd/memory';
import { FreeStack } from './free-stack.ts';
import type { Graph, LinkedGraph } from './graph.ts';
import { allocateGraph, type GraphLayout, type GraphSizes } from './graph-memory.ts';
import { FRAME_HEADROOM } from './layout.ts';
import type { NodeDeclaration } from './node.ts';
import type { PacketView } from './packet-view.ts';
import { compileKernels, Runtime, type RuntimeOptions } from './runtime.ts';
import { GraphStats } from './stats.ts';

/** A graph that runs in the calling thread, fed and emptied by hand: for tests of nodes. */
export class TestBench {
  readonly arena: Arena;
  readonly graph: LinkedGraph;
  readonly layout: GraphLayout;
  readonly stats: GraphStats;
  readonly runtime: Runtime;
  /** What reached the `sink` node: a copy of each packet from its current header, and a view's words. */
  readonly sent: SentPacket[];
  readonly #source: Injected[];

  private constructor(parts: Pick<TestBench, 'arena' | 'graph' | 'layout' | 'runtime' | 'sent'>, source: Injected[]) {
    this.arena = parts.arena;
    this.graph = parts.graph;
    this.layout = parts.layout;
    this.runtime = parts.runtime;
    this.sent = parts.sent;
    this.stats = new GraphStats(parts.arena.memory, parts.graph, parts.layout);
    this.#source = source;
  }

  /**
   * Adds an input node `source` (next: `into`) and an output node `sink` to the graph, links and allocates it.
   * @param into the node that injected packets go to first
   */
  static async create(
    graph: Graph,
    into: string,
    options: { arena?: Arena; sizes?: Partial<GraphSizes>; runtime?: RuntimeOptions; reach?: readonly string[] } = {},
  ): Promise<TestBench> {
    const arena = options.arena ?? Arena.create(64 * 1024 * 1024);
    const source: Injected[] = [];
    const sent: SentPacket[] = [];
    graph.add(sourceNode(into, source), ...['sink', ...(options.reach ?? [])].map((name) => sinkNode(name, sent)));
    const linked = graph.link();
    const layout = allocateGraph(arena, linked, { workers: 1, buffersPerWorker: 1024, ...options.sizes });
    const modules = await compileKernels(linked);
    const runtime = new Runtime(arena.memory, linked, layout, 0, modules, options.runtime);
    return new TestBench({ arena, graph: linked, layout, runtime, sent }, source);
  }

  /** Queues a packet to come in on an interface; `prepare` may change its metadata. */
  inject(bytes: Uint8Array, rx = 0, prepare?: (packet: PacketView) => void): this {
    this.#source.push({ bytes, rx, prepare });
    return this;
  }

  /** Breathes until all that was queued has gone through, and nothing comes in; returns what reached a sink meanwhile. */
  run(): SentPacket[] {
    this.sent.length = 0;
    while (this.runtime.breathe() > 0 || this.#source.length > 0);
    return [...this.sent];
  }

  /** Values of a node's counters that are not zero, by name. */
  counters(node: string): Record<string, number> {
    const values = this.stats.counters().filter((counter) => counter.node === node && counter.value !== 0n);
    return Object.fromEntries(values.map(({ name, value }) => [name, Number(value)]));
  }
}

export interface SentPacket {
  readonly node: string;
  readonly bytes: Uint8Array;
  readonly rx: number;
  readonly tx: number;
  readonly dpo: number;
  readonly as: number;
  readonly hash: number;
  readonly opaque: number;
}

interface Injected {
  readonly bytes: Uint8Array;
  readonly rx: number;
  readonly prepare: ((packet: PacketView) => void) | undefined;
}

function sourceNode(into: string, source: Injected[]): NodeDeclaration {
  return {
    name: 'source',
    kind: 'input',
    next: [into],
    process(context, vector, room) {
      const { u32, u8 } = context.memory;
      const free = new FreeStack(u32, context.worker);
      let n = 0;
      while (n < room && source.length > 0 && free.count > 0) {
        const { bytes, rx, prepare } = source.shift()!;
        const buffer = free.pop();
        const packet = context.packet(buffer);
        packet.received(rx, FRAME_HEADROOM, bytes.length);
        // What nobody wrote must not look like a plausible zero.
        u8.fill(0xa5, packet.address - FRAME_HEADROOM, packet.address + 2048 - FRAME_HEADROOM);
        u8.set(bytes, packet.address);
        prepare?.(packet);
        vector[n++] = buffer;
      }
      return n;
    },
  };
}

function sinkNode(name: string, sent: SentPacket[]): NodeDeclaration {
  return {
    name,
    kind: 'output',
    process(context, vector, count) {
      const free = new FreeStack(context.memory.u32, context.worker);
      for (let i = 0; i < count; i++) {
        const p = context.packet(vector[i]!);
        const { rx, tx, dpo, as, hash, opaque } = p;
        sent.push({ node: name, bytes: new Uint8Array(p.bytes), rx, tx, dpo, as, hash, opaque });
        free.push(vector[i]!);
      }
      return 0;
    },
  };
}
