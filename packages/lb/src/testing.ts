import {
  addIpNodes,
  DPO,
  DPO_ADJACENCY4,
  DPO_ADJACENCY6,
  dpo,
  dpoIndex,
  dpoType,
  IpTables,
  RouteTable,
} from '@lbd/fib';
import {
  FeatureTable,
  Graph,
  INTERFACE_FLAGS,
  INTERFACE_IP4,
  INTERFACE_IP6,
  INTERFACE_MTU,
  INTERFACE_SHIFT,
  INTERFACE_UP,
  MIXED,
  type NodeDeclaration,
  secondsAt,
} from '@lbd/graph';
import { type SentPacket, TestBench } from '@lbd/graph/testing';
import { Arena, Epochs } from '@lbd/memory';
import { addressBytes } from '@lbd/packet';
import type { Encap, EncapControl } from './encap.ts';
import { encapOptions } from './encap-options.ts';
import type { LbHost } from './host.ts';
import {
  allocateLb,
  ENCAP_FAN_OUT,
  type LbHandles,
  type LbSizes,
  LoadBalancer,
  lbFeatures,
  lbNodes,
  runLbTask,
} from './index.ts';
import { TEST_SECRET } from './testing-flows.ts';

export { crowdedFlows, type FlowEnds, hashOfFlow, TEST_SECRET, twinFlows } from './testing-flows.ts';

export interface LbBenchOptions {
  readonly sizes?: Partial<LbSizes>;
  /** Makes a forwarding table in the arena; its address goes to encaps' allocate. That of the bench unless given. */
  readonly fib?: (arena: Arena) => number;
  /** What the configuration says of the encaps: of each the same. */
  readonly encapOptions?: Readonly<Record<string, unknown>>;
  /** In place of parts of the host, for what a dataplane may refuse. */
  readonly host?: Partial<LbHost>;
}

/** Interfaces of the bench: 0 to 3. ICMP errors are sent from 192.0.2.1 and 2001:db8:ffff::1 on interface 0, and so on. */
const INTERFACES = [0, 1, 2, 3];
const DEFAULT_ROUTES = ['0.0.0.0/0', '::/0'];

/**
 * A load balancer with its nodes and encaps behind the IP layer of @lbd/fib, in one thread, for tests: IP packets in,
 * rewritten IP packets out. In place of adjacencies stands the node `sink`: each address is a neighbour, whose
 * DPO is named by the address's last byte, unless a test says otherwise (`route`).
 */
export class LbBench {
  readonly arena: Arena;
  readonly lb: LoadBalancer;
  readonly handles: LbHandles;
  readonly bench: TestBench;
  readonly features: FeatureTable;
  readonly tables: IpTables;
  readonly routes: RouteTable;
  /** Milliseconds on the clock of everything; tests move it. */
  now = 5000;
  /** What each way takes, unless told otherwise. */
  mtu = 1500;
  readonly #sink: number;
  readonly #mtus = new Map<string, number>();
  readonly #trackers = new Map<string, Set<() => void>>();

  private constructor(parts: {
    arena: Arena;
    handles: LbHandles;
    bench: TestBench;
    tables: IpTables;
    epochs: Epochs;
    encaps: Encap[];
    states: unknown[];
    instead: Partial<LbHost>;
  }) {
    this.arena = parts.arena;
    this.handles = parts.handles;
    this.bench = parts.bench;
    this.tables = parts.tables;
    this.routes = new RouteTable(parts.tables);
    this.features = new FeatureTable(parts.arena.memory, parts.bench.graph, parts.bench.layout);
    for (const index of INTERFACES) this.#setInterface(index);
    this.#sink = this.#place(DPO, 'sink');
    for (const prefix of DEFAULT_ROUTES) this.routes.addSpecial(prefix, dpo(this.#sink, 0));
    const controls = new Map<string, EncapControl>();
    const host = { ...this.#host(parts.epochs), ...parts.instead };
    parts.encaps.forEach((encap, i) => {
      const control = encap.control?.({ ...host, lb: parts.handles }, parts.states[i]);
      if (control) controls.set(encap.name, control);
    });
    this.lb = new LoadBalancer(host, parts.handles, parts.encaps, controls);
  }

  static async create(encaps: readonly Encap[], options: LbBenchOptions = {}): Promise<LbBench> {
    const arena = Arena.create(512 * 1024 * 1024);
    const epochs = new Epochs(arena, 1);
    const handles = allocateLb(arena, { workers: 1, secret: TEST_SECRET, ...options.sizes });
    const tables = new IpTables(arena, undefined, { fib6: { prefixes: 1024 } });
    const fib = { fib4: options.fib?.(arena) ?? tables.fib4.address, fib6: tables.fib6.address };
    const all = [...encaps];
    const given = await Promise.all(all.map((encap) => encapOptions(encap, options.encapOptions)));
    const states = all.map((encap, i) => encap.allocate?.(arena, given[i], fib));
    const graph = new Graph().add(rxNode);
    addIpNodes(graph, tables.addresses);
    graph.add(...lbNodes(handles, all), ...all.flatMap((encap, i) => encap.nodes(handles, states[i])));
    graph.fanOut(DPO, 'lb4', 'lb4-port', 'lb6', 'lb6-port', 'sink');
    graph.fanOut(ENCAP_FAN_OUT, ...all.map(({ name }) => name));
    for (const feature of [...lbFeatures, ...all.flatMap(({ features = [] }) => features)]) graph.feature(feature);
    let self: LbBench | undefined;
    const clock = () => self?.now ?? 5000;
    const reach = ['punt', 'interface-output'];
    const bench = await TestBench.create(graph, 'rx', { arena, reach, runtime: { clock } });
    self = new LbBench({ arena, handles, bench, tables, epochs, encaps: all, states, instead: options.host ?? {} });
    return self;
  }

  /** Says where packets to an address go. DPOs of adjacencies, by any index, lead to the sink. */
  route(address: string, word: number, mtu?: number): void {
    const prefix = `${address}/${address.includes(':') ? 128 : 32}`;
    if (this.routes.entries(address.includes(':') ? 6 : 4).some((entry) => entry.prefix === prefix)) {
      this.routes.removeSpecial(prefix);
    }
    if (mtu !== undefined) this.#mtus.set(address, mtu);
    const adjacency = dpoType(word) === DPO_ADJACENCY4 || dpoType(word) === DPO_ADJACENCY6;
    this.routes.addSpecial(prefix, adjacency ? dpo(this.#sink, dpoIndex(word)) : word);
    this.#tellTrackers(address);
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
        const tell = () => changed(this.#lookup(address), this.#mtus.get(address) ?? this.mtu);
        const trackers = this.#trackers.get(address) ?? new Set();
        this.#trackers.set(address, trackers.add(tell));
        const tracker = this.routes.track(address, tell);
        return {
          stop() {
            trackers.delete(tell);
            tracker.stop();
          },
        };
      },
      addPrefix: (prefix, word) => this.routes.addSpecial(prefix, word),
      removePrefix: (prefix) => this.routes.removeSpecial(prefix),
      addReturn: () => {},
      removeReturn: () => {},
      addNodePort: () => {},
      removeNodePort: () => {},
      addTunnelSource: () => {},
      removeTunnelSource: () => {},
      now: () => secondsAt(this.now),
      lookup: (address) => this.#lookup(address),
      describe: (word) => `${dpoType(word)}:${dpoIndex(word)}`,
      dpoTypes: {
        lb4: this.#place(DPO, 'lb4'),
        'lb4-port': this.#place(DPO, 'lb4-port'),
        lb6: this.#place(DPO, 'lb6'),
        'lb6-port': this.#place(DPO, 'lb6-port'),
      },
      encapPlace: (name) => this.#place(ENCAP_FAN_OUT, name),
      onWorkers: async (task) => runLbTask(this.arena.memory, this.handles, 0, task),
    };
  }

  #place(fanOut: string, node: string): number {
    return this.bench.graph.fanOuts.get(fanOut)!.indexOf(node);
  }

  #tellTrackers(address: string): void {
    for (const tell of this.#trackers.get(address) ?? []) tell();
  }

  /** As the tables have it, but that what the default route leads to is a neighbour. */
  #lookup(address: string): number {
    const bytes = addressBytes(address);
    const word = this.routes.lookup(bytes);
    return word === dpo(this.#sink, 0) ? dpo(this.#sink, bytes.at(-1)!) : word;
  }

  #setInterface(index: number): void {
    const { u8, u32 } = this.arena.memory;
    const at = this.bench.layout.interfaces + (index << INTERFACE_SHIFT);
    u32[(at + INTERFACE_FLAGS) >>> 2] = INTERFACE_UP;
    u32[(at + INTERFACE_MTU) >>> 2] = 1500;
    u8.set(addressBytes(`192.0.2.${index + 1}`), at + INTERFACE_IP4);
    u8.set(addressBytes(`2001:db8:ffff::${index + 1}`), at + INTERFACE_IP6);
    for (const { node } of lbFeatures) this.features.set(node, index, true);
  }
}

/** Packets without an Ethernet header, to the IP layer. */
const rxNode: NodeDeclaration = {
  name: 'rx',
  next: ['ip4-input', 'ip6-input'],
  process(context, vector, count, nexts) {
    for (let i = 0; i < count; i++) nexts[i] = context.packet(vector[i]!).bytes[0]! >> 4 === 6 ? 1 : 0;
    return MIXED;
  },
};
