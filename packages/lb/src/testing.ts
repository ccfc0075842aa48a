import {
  FEATURE_STRIDE,
  FeatureTable,
  Graph,
  MIXED,
  NODE_ARC,
  NODE_FANOUT,
  NODE_POSITION,
  type NodeContext,
  type NodeDeclaration,
  PROTOCOL_NONE,
  secondsAt,
} from '@lbd/graph';
import { type SentPacket, TestBench } from '@lbd/graph/testing';
import { Arena, Epochs } from '@lbd/memory';
import { addressBytes, contains, type Prefix, parsePrefix } from '@lbd/packet';
import type { Encap, EncapControl } from './encap.ts';
import type { LbHost } from './host.ts';
import { allocateLb, ENCAP_FAN_OUT, type LbHandles, type LbSizes, LoadBalancer, lbNodes, runLbTask } from './index.ts';

/** Stands for the addresses of the forwarding tables, for encaps that want them. */
type Fib = { fib4: number; fib6: number };

/** An encap whatever its state: what it allocates is handed to its nodes, and nobody else looks into it. */
type AnyEncap = Omit<Encap<never>, 'allocate'> & Pick<Encap, 'allocate'>;

export interface LbBenchOptions {
  readonly sizes?: Partial<LbSizes>;
  /** Makes a forwarding table in the arena; its address goes to encaps' allocate. */
  readonly fib?: (arena: Arena) => number;
  readonly encapOptions?: Readonly<Record<string, unknown>>;
  /** In place of parts of the host, for what a dataplane may refuse. */
  readonly host?: Partial<LbHost>;
}

/**
 * A load balancer with its nodes and encaps in one thread, for tests: IP packets in, rewritten IP packets out. In place of
 * the IP layer stand three small nodes, and routes are what the test says (`route`).
 */
export class LbBench {
  readonly arena: Arena;
  readonly lb: LoadBalancer;
  readonly handles: LbHandles;
  readonly bench: TestBench;
  readonly features: FeatureTable;
  /** Milliseconds on the clock of everything; tests move it. */
  now = 5000;
  readonly #prefixes = new Map<string, { prefix: Prefix; dpo: number }>();
  readonly #routes = new Map<string, number>();
  /** Of every way. */
  mtu = 1500;
  readonly #trackers = new Map<string, Set<(dpo: number, mtu: number) => void>>();

  private constructor(parts: {
    arena: Arena;
    handles: LbHandles;
    bench: TestBench;
    epochs: Epochs;
    encaps: Encap[];
    states: unknown[];
    instead: Partial<LbHost>;
  }) {
    this.arena = parts.arena;
    this.handles = parts.handles;
    this.bench = parts.bench;
    this.features = new FeatureTable(parts.arena.memory, parts.bench.graph, parts.bench.layout);
    const controls = new Map<string, EncapControl>();
    const host = { ...this.#host(parts.epochs), ...parts.instead };
    parts.encaps.forEach((encap, i) => {
      const control = encap.control?.({ ...host, lb: parts.handles }, parts.states[i]);
      if (control) controls.set(encap.name, control);
    });
    this.lb = new LoadBalancer(host, parts.handles, parts.encaps, controls);
  }

  static async create(encaps: readonly AnyEncap[], options: LbBenchOptions = {}): Promise<LbBench> {
    const arena = Arena.create(512 * 1024 * 1024);
    const handles = allocateLb(arena, { workers: 1, ...options.sizes });
    const tables: Fib = { fib4: options.fib?.(arena) ?? 0, fib6: 0 };
    const all = encaps as unknown as Encap[];
    const states = all.map((encap) => encap.allocate?.(arena, options.encapOptions ?? {}, tables));
    const graph = new Graph();
    let lookup: (address: Uint8Array) => number = () => 0;
    graph.add(
      rxNode,
      lookupNode((address) => lookup(address)),
    );
    graph.add(...lbNodes(handles), ...all.flatMap((encap, i) => encap.nodes(handles, states[i])));
    graph.fanOut('dpo', 'drop', 'punt', 'local', 'sink', 'sink', 'drop', 'drop', 'drop', 'lb4', 'lb4-port', 'lb6', 'lb6-port');
    graph.fanOut(ENCAP_FAN_OUT, ...all.map(({ name }) => name));
    graph.arc({ name: 'ip4-unicast', start: 'rx', end: 'lookup' });
    for (const feature of all.flatMap((encap) => encap.features ?? [])) graph.feature(feature);
    let self: LbBench | undefined;
    const clock = () => self?.now ?? 5000;
    const bench = await TestBench.create(graph, 'rx', { arena, reach: ['punt', 'local'], runtime: { clock } });
    const epochs = new Epochs(arena, 1);
    self = new LbBench({ arena, handles, bench, epochs, encaps: all, states, instead: options.host ?? {} });
    lookup = (address) => self.#lookup(address);
    return self;
  }

  /** Says where packets to an address go; an adjacency named by the address's last byte unless told. */
  route(address: string, dpo: number): void {
    this.#routes.set(address, dpo);
    for (const changed of this.#trackers.get(address) ?? []) changed(dpo, this.mtu);
  }

  /** Sends IP packets in on an interface; returns what came out, where. */
  send(packets: readonly Uint8Array[], rx = 0): SentPacket[] {
    for (const packet of packets) this.bench.inject(packet, rx);
    return this.bench.run();
  }

  #host(epochs: Epochs): LbHost {
    return {
      arena: this.arena,
      epochs,
      track: (address, changed) => {
        const trackers = this.#trackers.get(address) ?? new Set();
        this.#trackers.set(address, trackers.add(changed));
        changed(this.#lookup(addressBytes(address)), this.mtu);
        return { close: () => trackers.delete(changed) };
      },
      addPrefix: (text, dpo) => {
        this.#prefixes.set(text, { prefix: parsePrefix(text), dpo });
        this.#tellTrackers();
      },
      removePrefix: (text) => {
        this.#prefixes.delete(text);
        this.#tellTrackers();
      },
      addReturn: () => {},
      removeReturn: () => {},
      addNodePort: () => {},
      removeNodePort: () => {},
      addTunnelSource: () => {},
      removeTunnelSource: () => {},
      now: () => secondsAt(this.now),
      lookup: (address) => this.#lookup(addressBytes(address)),
      describe: (dpo) => `${dpo >>> 24}:${dpo & 0xffffff}`,
      dpoTypes: { lb4: 8, 'lb4-port': 9, lb6: 10, 'lb6-port': 11 },
      encapPlace: (name) => this.bench.graph.fanOuts.get(ENCAP_FAN_OUT)!.indexOf(name),
      onWorkers: async (task) => runLbTask(this.arena.memory, this.handles, 0, task),
    };
  }

  #tellTrackers(): void {
    for (const [address, trackers] of this.#trackers) {
      for (const changed of trackers) changed(this.#lookup(addressBytes(address)), this.mtu);
    }
  }

  #lookup(address: Uint8Array): number {
    const matching = [...this.#prefixes.values()].filter(({ prefix }) => contains(prefix, address));
    const longest = matching.sort((a, b) => b.prefix.length - a.prefix.length)[0];
    return longest?.dpo ?? this.#routes.get(address.join('.')) ?? (3 << 24) | address.at(-1)!;
  }
}

/** Notes where the L4 header is, as ip4-input does, and sets out on the arc. */
const rxNode: NodeDeclaration = {
  name: 'rx',
  next: ['drop'],
  process(context, vector, count, nexts) {
    const { u32, u16 } = context.memory;
    const arc = (u32[(context.node + NODE_ARC) >>> 2]! >>> 1) + u32[(context.node + NODE_POSITION) >>> 2]!;
    for (let i = 0; i < count; i++) {
      const packet = context.packet(vector[i]!);
      const { bytes } = packet;
      packet.l4 = (bytes[0]! & 15) * 4;
      packet.protocol = (((bytes[6]! & 0x1f) << 8) | bytes[7]!) === 0 ? bytes[9]! : PROTOCOL_NONE;
      nexts[i] = u16[arc + packet.rx * FEATURE_STRIDE]!;
    }
    return MIXED;
  },
};

const lookupNode = (lookup: (address: Uint8Array) => number): NodeDeclaration => ({
  name: 'lookup',
  next: ['drop'],
  fanOut: 'dpo',
  process(context: NodeContext, vector, count, nexts) {
    const fanOut = context.memory.u32[(context.node + NODE_FANOUT) >>> 2]!;
    for (let i = 0; i < count; i++) {
      const packet = context.packet(vector[i]!);
      packet.dpo = lookup(packet.bytes.slice(16, 20));
      nexts[i] = fanOut + (packet.dpo >>> 24);
    }
    return MIXED;
  },
});
