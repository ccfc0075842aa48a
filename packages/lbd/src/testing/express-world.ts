import { gre4, gre6 } from '@lbd/encap-gre';
import { l3dsr } from '@lbd/encap-l3dsr';
import { type NatHandles, nat4, nat6 } from '@lbd/encap-nat';
import { DPO_ADJACENCY4, DPO_ADJACENCY6, DPO_GLEAN4, DPO_GLEAN6, DPO_LOAD_BALANCE, dpo, IpTables } from '@lbd/fib';
import { FeatureTable, type NodeContext, secondsAt } from '@lbd/graph';
import { type SentPacket, TestBench } from '@lbd/graph/testing';
import { InterfaceTable, OUTPUT, PUNT } from '@lbd/io';
import {
  allocateLb,
  ENCAP_FAN_OUT,
  type Encap,
  type EncapControl,
  encapOptions,
  LB_STICKY,
  type LbHandles,
  LoadBalancer,
  type VipSpec,
} from '@lbd/lb';
import { TEST_SECRET } from '@lbd/lb/testing';
import { Arena, Epochs } from '@lbd/memory';
import { addressBytes, parsePrefix } from '@lbd/packet';
import { buildGraph, placeIn } from '../dataplane.ts';

const ENCAPS: readonly Encap[] = [nat4, nat6, gre4, gre6, l3dsr];
/** Servers are behind it. */
const SERVERS = 3;
/** u32 of a sticky table: its buckets - 1. */
const STICKY_MASK = 0;
export const BUCKETS = 4096;
const MAX_VIPS = 64;
/** A breath looks at 32 of the 256 places where fragments wait; after so many, at each of them since the last was remembered. */
const IDLE_BREATHS = 16;

export const macOf = (index: number): string => `02:00:00:00:00:1${index}`;
/** Its l4-checksum is on. */
export const WITH_FEATURE = 1;
/** It has no MAC address. */
export const WITHOUT_MAC = 2;
/** Its NAT is on, of both families. */
export const WITH_NAT = 4;
/** Its NAT and l4-checksum are on. */
export const WITH_NAT_AND_CHECKSUM = 5;
/** Its NAT is on, and a feature of which the shortcuts know nothing. */
export const WITH_NAT_AND_OTHER = 6;
/** Clients are behind it: see reachClients(). */
export const CLIENTS = 7;
const NAT_FEATURES = ['lb-nat4-in2out', 'lb-nat6-in2out'];
const CHECKSUM_FEATURES = ['l4-checksum', 'l4-checksum6'];
const OTHER_FEATURES = ['other4', 'other6'];

export interface WorldVip {
  readonly spec: Pick<VipSpec, 'prefix'> & Partial<VipSpec>;
  readonly servers: readonly string[];
}

export interface WorldOptions {
  /** New flows are chosen by the keyed hash. */
  readonly keyed?: boolean;
  /** Of the sticky table; BUCKETS unless told. */
  readonly buckets?: number;
}

/** lbd's own graph, from ethernet-input's place to the drivers', with VIPs and servers, and nothing else. */
export class ExpressWorld {
  readonly lb: LoadBalancer;
  readonly bench: TestBench;
  readonly tables: IpTables;
  readonly handles: LbHandles;
  readonly #controls: Map<string, EncapControl>;
  readonly #features: FeatureTable;
  readonly #states: readonly unknown[];
  readonly #ways = new Map<string, (dpo: number, mtu: number) => void>();
  now = 1000;

  private constructor(
    arena: Arena,
    tables: IpTables,
    handles: LbHandles,
    bench: TestBench,
    states: readonly unknown[],
  ) {
    this.bench = bench;
    this.tables = tables;
    this.handles = handles;
    const { fanOuts } = bench.graph;
    const interfaces = new InterfaceTable(arena.memory, bench.layout.interfaces);
    for (let i = 0; i <= CLIENTS; i++) {
      interfaces.add({ name: `if${i}`, up: true, ...(i === WITHOUT_MAC ? {} : { mac: macOf(i) }) });
    }
    this.#states = states;
    this.#features = new FeatureTable(arena.memory, bench.graph, bench.layout);
    this.#enable(WITH_FEATURE, CHECKSUM_FEATURES);
    this.#enable(WITH_NAT, NAT_FEATURES);
    this.#enable(WITH_NAT_AND_CHECKSUM, [...NAT_FEATURES, ...CHECKSUM_FEATURES]);
    this.#enable(WITH_NAT_AND_OTHER, [...NAT_FEATURES, ...OTHER_FEATURES]);
    tables.adjacencies.setLink(SERVERS, { mac: macOf(SERVERS), mtu: 1500, up: true });
    const epochs = new Epochs(arena, 1);
    const type = (name: string) => placeIn(fanOuts, 'dpo', name);
    const host = {
      arena,
      epochs,
      now: () => Math.floor(this.now / 1000),
      lookup: (address: string) => this.#toServer(address),
      track: (address: string, changed: (dpo: number, mtu: number) => void) => {
        this.#ways.set(address, changed);
        changed(this.#toServer(address), 1500);
        return { stop() {} };
      },
      addPrefix: (prefix: string, word: number) => {
        const { bytes, length } = parsePrefix(prefix);
        if (bytes.length === 16) tables.fib6.add(bytes, length, word);
        else tables.fib4.add(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), length, word);
      },
      removePrefix() {},
      addReturn() {},
      removeReturn() {},
      addNodePort() {},
      removeNodePort() {},
      addTunnelSource() {},
      removeTunnelSource() {},
      describe: String,
      dpoTypes: { lb4: type('lb4'), 'lb4-port': type('lb4-port'), lb6: type('lb6'), 'lb6-port': type('lb6-port') },
      encapPlace: (name: string) => placeIn(fanOuts, ENCAP_FAN_OUT, name),
      onWorkers: async () => {},
    };
    this.#controls = new Map();
    ENCAPS.forEach((encap, i) => {
      const control = encap.control?.({ ...host, lb: handles }, states[i]);
      if (control) this.#controls.set(encap.name, control);
    });
    this.lb = new LoadBalancer(host, handles, ENCAPS, this.#controls);
  }

  static async create(
    vips: readonly WorldVip[],
    { keyed = false, buckets = BUCKETS }: WorldOptions = {},
  ): Promise<ExpressWorld> {
    const arena = Arena.create(256 * 1024 * 1024);
    const tables = new IpTables(arena);
    const handles = allocateLb(arena, {
      workers: 1,
      buckets,
      maxVips: MAX_VIPS,
      maxServers: 4096,
      secret: TEST_SECRET,
    });
    const copy = { dscp: 'copy', ecn: 'copy', df: 'copy' };
    const options = (name: string) =>
      name.startsWith('nat') ? { sessions: 4096 } : keyed && name === 'gre4' ? copy : {};
    const given = await Promise.all(ENCAPS.map((encap) => encapOptions(encap, options(encap.name))));
    const encapStates = ENCAPS.map((encap, i) => encap.allocate?.(arena, given[i], tables.addresses));
    const plan = { drivers: [], ports: [], plugins: [], tables: tables.addresses, lb: handles, encapStates };
    const graph = buildGraph(plan, { drivers: [], encaps: ENCAPS, encapPackages: [] });
    OTHER_FEATURES.forEach((name, i) => {
      const family = i === 0 ? 4 : 6;
      // What it takes goes nowhere else: nobody may have taken it before.
      graph.add({ name, next: ['drop'], counters: { other: 'it got here' }, process: countAndDrop });
      graph.feature({ arc: `ip${family}-unicast`, node: name });
    });
    graph.fanOut(OUTPUT, 'sent');
    graph.fanOut(PUNT, 'punted');
    let self: ExpressWorld | undefined;
    const runtime = { clock: () => self?.now ?? 1000 };
    const bench = await TestBench.create(graph, 'ethernet-input', { arena, reach: ['sent', 'punted'], runtime });
    self = new ExpressWorld(arena, tables, handles, bench, encapStates);
    await self.lb.lbConf({
      ip4SrcAddress: '39.40.41.48',
      ip6SrcAddress: '2001:db8::1',
      flowHash: keyed ? 'keyed' : 'crc32c',
    });
    for (const { spec, servers } of vips) {
      await self.lb.addVip({ encap: 'gre4', type: 'clusterip', newLen: 1024, srcIpSticky: false, ...spec });
      const { prefix, protocol, port } = spec;
      const vip = { prefix, ...(protocol && port ? { protocol, port } : {}) };
      if (servers.length > 0) await self.lb.addServers({ vip, addresses: servers, flush: false });
    }
    return self;
  }

  /** Sends Ethernet frames in, all at a time; returns what came out. */
  send(frames: ReadonlyArray<{ bytes: Uint8Array; rx: number }>): SentPacket[] {
    for (const { bytes, rx } of frames) this.bench.inject(bytes, rx);
    const sent = this.bench.run();
    for (let idle = 0; idle < IDLE_BREATHS; idle++) sent.push(...this.bench.run());
    return sent;
  }

  /** Lets milliseconds go by: fragments that have waited long enough go. */
  pass(ms: number): SentPacket[] {
    this.now += ms;
    return this.send([]);
  }

  /** The next hop of a server is not known any more. */
  loseNeighbour(address: string): void {
    this.tables.adjacencies.setNeighbour(SERVERS, addressBytes(address), undefined);
  }

  /** Turns NAT of an interface on or off. */
  enableNat(rx: number, on: boolean): void {
    this.#enable(rx, NAT_FEATURES, on);
  }

  /** Turns l4-checksum of an interface on or off. */
  enableChecksums(rx: number, on: boolean): void {
    this.#enable(rx, CHECKSUM_FEATURES, on);
  }

  #enable(rx: number, features: readonly string[], on = true): void {
    for (const feature of features) this.#features.set(feature, rx, on);
  }

  /**
   * Gives clients 1.2.n.0/24 and 2001:db8:n::/48 a next hop each, of several: for 5 it is not known; 6 are neighbours to be found,
   * to 7 no way leads, and 8 are spread over two next hops.
   */
  reachClients(): void {
    this.setClientMtu(1500);
    for (let n = 0; n <= 12; n++) {
      if (n === 7) continue;
      for (const family of [4, 6] as const) {
        const way = n === 6 ? dpo(family === 4 ? DPO_GLEAN4 : DPO_GLEAN6, CLIENTS) : this.#toClient(family, n);
        const both = [way, this.#toClient(family, n + 20)].map((word) => ({ dpo: word, weight: 1 }));
        const word = n === 8 ? dpo(DPO_LOAD_BALANCE, this.tables.loadBalances.acquire(both)) : way;
        if (family === 4) this.tables.fib4.add(0x01020000 + (n << 8), 24, word);
        else this.tables.fib6.add(addressBytes(`2001:db8:${n.toString(16)}::`), 48, word);
      }
    }
  }

  /** The way to clients takes shorter packets only. */
  setClientMtu(mtu: number): void {
    this.tables.adjacencies.setLink(CLIENTS, { mac: macOf(CLIENTS), mtu, up: true });
  }

  /** A way to a client is another from now on. */
  moveClient(n: number, to: number): void {
    this.tables.fib4.add(0x01020000 + (n << 8), 24, this.#toClient(4, to));
    this.tables.fib6.add(addressBytes(`2001:db8:${n.toString(16)}::`), 48, this.#toClient(6, to));
  }

  #toClient(family: 4 | 6, n: number): number {
    const hop = addressBytes(family === 4 ? `172.16.0.${n}` : `fe80::${n}`);
    const { adjacencies } = this.tables;
    if (n !== 5) adjacencies.setNeighbour(CLIENTS, hop, `02:00:00:02:00:${n.toString(16).padStart(2, '0')}`);
    return dpo(family === 4 ? DPO_ADJACENCY4 : DPO_ADJACENCY6, adjacencies.acquire(family, CLIENTS, hop));
  }

  /** Ends the sessions that are over. */
  async sweep(): Promise<void> {
    for (const control of this.#controls.values()) await control.sweep?.();
  }

  /** The way to a server takes shorter packets only. */
  setMtu(mtu: number): void {
    this.tables.adjacencies.setLink(SERVERS, { mac: macOf(SERVERS), mtu, up: true });
    for (const [address, changed] of this.#ways) changed(this.#toServer(address), mtu);
  }

  /** All that users can see of what happened, and what the worker's tables hold. */
  state(): Record<string, unknown> &
    Readonly<Record<'counters' | 'sticky', readonly string[]>> & { readonly vips: readonly number[] } {
    const { memory } = this.bench.arena;
    const [counters] = this.handles.counters;
    const [block] = this.handles.blocks;
    const sticky = memory.u32[(block! + LB_STICKY) >>> 2]!;
    const buckets = memory.u32[(sticky + STICKY_MASK) >>> 2]! + 1;
    return {
      counters: this.bench.stats
        .counters()
        .filter(({ value }) => value !== 0n)
        .map(({ node, name, value }) => `${node}: ${name} ${value}`),
      vips: [...memory.u64.slice(counters! >>> 3, (counters! >>> 3) + MAX_VIPS * 4)].map(Number),
      sticky: entriesOf(memory.u32.slice((sticky + 64) >>> 2, (sticky + 64 + buckets * 64) >>> 2)),
      sessions: [...this.#controls.values()].map((control) => control.usage?.()),
      flows: [...this.#controls.values()].map((control) => {
        const flows = control.countFlows?.(Math.floor(this.now / 1000)) ?? new Map<number, number>();
        return [...flows].sort(([one], [other]) => one - other);
      }),
      free: memory.u32[(this.bench.layout.workers[0]!.block + 24) >>> 2],
    };
  }

  /** Makes the keyed flow hash that of another world. */
  shareKey({ bench, handles }: ExpressWorld): void {
    const { keyed } = this.handles.flowHashes;
    this.bench.arena.memory.u8.set(
      bench.arena.memory.u8.slice(handles.flowHashes.keyed, handles.flowHashes.keyed + 64),
      keyed,
    );
  }

  /** The live sessions of both families, what has been seen of them and when they end. */
  sessions(): string[][] {
    return this.#states.slice(0, 2).map((state) => this.#recordsOf(state as NatHandles));
  }

  /** Of a family: all of their records but which one, and when its line was touched. */
  #recordsOf({ sessions, capacity }: NatHandles): string[] {
    const { u8, u32 } = this.bench.arena.memory;
    const records: string[] = [];
    for (let at = sessions; at < sessions + capacity * 64; at += 64) {
      if (u32[(at + 48) >>> 2] === 1) records.push(Buffer.from(u8.slice(at, at + 56)).toString('hex'));
    }
    return records.sort();
  }

  /** Packets that a node has had. */
  packets(name: string): number {
    return this.bench.stats.runtime().find(({ node }) => node === name)?.packets ?? 0;
  }

  #toServer(address: string): number {
    const hop = addressBytes(address);
    const { adjacencies } = this.tables;
    const family = hop.length === 4 ? 4 : 6;
    adjacencies.setNeighbour(SERVERS, hop, `02:00:00:01:00:${hop.at(-1)!.toString(16).padStart(2, '0')}`);
    return dpo(family === 4 ? DPO_ADJACENCY4 : DPO_ADJACENCY6, adjacencies.acquire(family, SERVERS, hop));
  }
}

function countAndDrop(context: NodeContext, vector: Uint32Array<SharedArrayBuffer>, count: number): number {
  for (let i = 0; i < count; i++) context.reason(context.packet(vector[i]!), 'other');
  return context.slot('drop');
}

/**
 * Entries of a sticky table that have been used: bucket, hash, expiry, VIP, server, and whether there is a state. Which one it
 * is, and the entry's place in the bucket, depend on the order in which flows began.
 */
function entriesOf(words: Uint32Array): string[] {
  const entries: string[] = [];
  for (let at = 0; at < words.length; at += (at & 3) === 3 ? 13 : 1) {
    const [hash, expiry, vip, as] = [0, 4, 8, 12].map((field) => words[at + field]!) as [
      number,
      number,
      number,
      number,
    ];
    const state = (vip >>> 16) + (as >>> 24) > 0;
    if (expiry !== 0) entries.push(`${at >> 4}: ${hash} ${expiry} ${vip & 0xffff} ${as & 0xffffff} ${state}`);
  }
  return entries.sort();
}

/** The same in any order: a packet that went the ordinary way may be passed by others. */
export const sorted = (sent: readonly SentPacket[]) =>
  sent
    .map(
      ({ node, bytes, rx, tx }) => `${node} ${rx} ${node === 'sent' ? tx : ''} ${Buffer.from(bytes).toString('hex')}`,
    )
    .sort();

/** Two worlds of the same VIPs, in one of which (`long`) all packets are traced, and so go the ordinary way. */
export async function twoWorlds(vips: readonly WorldVip[], options: WorldOptions = {}) {
  const [short, long] = await Promise.all([ExpressWorld.create(vips, options), ExpressWorld.create(vips, options)]);
  long.shareKey(short);
  long.bench.runtime.tracer.add(Number.MAX_SAFE_INTEGER);
  const both = (work: (world: ExpressWorld) => void) => [short, long].forEach(work);
  return { short, long, both };
}

/**
 * Packets to one VIP keep their order, those to several do not. So a flow may find its own sticky bucket full in one world and not in the
 * other; and with a small table, which flows have a place in it depends on who comes first.
 */
export function leftBehind(world: ExpressWorld, { buckets }: WorldOptions = {}) {
  const { sticky, vips, ...others } = world.state();
  if (buckets === undefined) {
    const live = sticky
      .map((entry) => entry.split(': ')[1]!)
      .filter((entry) => Number(entry.split(' ')[1]) > secondsAt(world.now));
    return { ...others, vips, sticky: live.sort() };
  }
  const packets = vips.reduce<number[]>((sums, n, i) => {
    sums[i >> 2] = (sums[i >> 2] ?? 0) + n;
    return sums;
  }, []);
  return { ...others, packets };
}
