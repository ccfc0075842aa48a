import { Bihash } from '@lbd/bihash';
import { dpo, dpoType, NO_ROUTE } from '@lbd/fib';
import { addressBytes, addressText, prefixText } from '@lbd/packet';
import { StickyTable } from '@lbd/sticky';
import type { Encap, EncapControl } from './encap.ts';
import { LbError } from './errors.ts';
import type { LbHost } from './host.ts';
import * as L from './layout.ts';
import type {
  AddServers,
  DeleteServers,
  LbConf,
  LbConfState,
  LbSummary,
  ServerState,
  SetWeight,
  VipKey,
  VipSpec,
  VipState,
} from './model.ts';
import { NewFlowTables } from './new-flow.ts';
import { portKey } from './port-key.ts';
import { type LbHandles, RecordPool, readVipCounters } from './tables.ts';
import { TunnelEnds } from './tunnel-ends.ts';
import {
  checkServerAddress,
  checkSpec,
  PROTOCOLS,
  type Server,
  type Vip,
  type VipPrefix,
  vipId,
  vipName,
  wideBytes,
} from './vip.ts';

/** Seconds by which a worker's idea of now may be behind. */
const CLOCK_SLACK = 2;

/**
 * The control plane of the load balancer: VIPs and their servers, written into the tables that the nodes read. Operations
 * run one after the other; one that is refused has changed nothing. Changes are published by single stores.
 */
export class LoadBalancer {
  readonly #host: LbHost;
  readonly #lb: LbHandles;
  readonly #encaps: ReadonlyMap<string, Encap>;
  readonly #controls: ReadonlyMap<string, EncapControl>;
  readonly #vips = new Map<string, Vip>();
  readonly #prefixes = new Map<string, VipPrefix>();
  readonly #vipPool: RecordPool;
  readonly #serverPool: RecordPool;
  readonly #groupPool: RecordPool;
  readonly #ports: Bihash;
  readonly #newFlow: NewFlowTables;
  readonly #tunnelEnds: TunnelEnds;
  /** Servers, by index, packets to which would come back to a VIP. */
  readonly #looping = new Set<number>();
  #conf: LbConfState;
  #queue: Promise<unknown> = Promise.resolve();

  /** @param controls the control sides of the encaps that have one, by name */
  constructor(
    host: LbHost,
    lb: LbHandles,
    encaps: readonly Encap[],
    controls: ReadonlyMap<string, EncapControl> = new Map(),
    conf: Partial<LbConfState> = {},
  ) {
    this.#host = host;
    this.#lb = lb;
    this.#encaps = new Map(encaps.map((encap) => [encap.name, encap]));
    this.#controls = controls;
    this.#vipPool = new RecordPool('VIPs', lb.maxVips);
    this.#serverPool = new RecordPool('ASs', lb.maxServers);
    this.#groupPool = new RecordPool('prefixes with per-port VIPs', 1 << 24);
    this.#ports = Bihash.attach(host.arena.memory, lb.ports);
    this.#newFlow = new NewFlowTables(host, lb);
    this.#tunnelEnds = new TunnelEnds(host.arena.memory, lb.tunnelEnds);
    this.#conf = { buckets: 1024, timeout: 40, flowHash: 'crc32c', ...conf };
    this.#publishConf();
  }

  // ---- Operations --------------------------------------------------------------------------------------------------

  /** `lb conf` */
  lbConf(change: LbConf): Promise<void> {
    return this.#serially(async () => {
      checkConf(change);
      const before = this.#conf;
      const conf = { ...before, ...change };
      if (conf.buckets !== before.buckets || conf.timeout !== before.timeout) await this.#replaceSticky(conf);
      this.#conf = conf;
      this.#publishConf();
    });
  }

  lbConfGet(): LbConfState {
    return this.#conf;
  }

  /** `lb vip` */
  addVip(spec: VipSpec): Promise<void> {
    return this.#serially(async () => {
      const encap = this.#encap(spec.encap);
      const prefix = checkSpec(spec, encap);
      const id = vipId(spec);
      if (this.#vips.has(id)) throw new LbError('LBD_LB_VIP_EXISTS', `${vipName(spec)} exists already`);
      const text = prefixText(prefix);
      const peers = this.#prefixes.get(text);
      if (peers) checkPeers(spec, peers);
      const newFlow = this.#newFlow.empty(vipName(spec), spec.newLen);
      try {
        const index = this.#vipPool.take();
        try {
          const vip: Vip = { spec: { ...spec, prefix: text }, prefix, encap, index, newFlow, servers: new Map() };
          this.#writeVip(vip);
          const before = new Set(this.#looping);
          this.#publishVip(vip, peers);
          this.#checkServersOutside(vip, before);
          this.#vips.set(id, vip);
        } catch (error) {
          // It may have been published for a moment.
          await this.#host.epochs.quiescent();
          this.#vipPool.give(index);
          throw error;
        }
      } catch (error) {
        this.#newFlow.free(newFlow);
        throw error;
      }
    });
  }

  /** `lb vip ... del`: its servers go with it, and flows end at once. */
  deleteVip(key: VipKey): Promise<void> {
    return this.#serially(async () => {
      const vip = this.#vip(key);
      this.#unpublishVip(vip);
      this.#vips.delete(vipId(key));
      const servers = [...vip.servers.values()];
      await this.#host.epochs.quiescent();
      await this.#controls.get(vip.encap.name)?.flush?.(new Set(servers.map(({ index }) => index)));
      await this.#host.onWorkers({ kind: 'lb-flush', vip: vip.index });
      for (const server of servers) this.#freeServer(vip, server);
      // An encap may have led workers to the VIP's record by what was freed with its servers.
      await this.#host.epochs.quiescent();
      this.#newFlow.free(vip.newFlow);
      this.#vipPool.give(vip.index);
    });
  }

  /** `lb as` */
  addServers(operation: AddServers): Promise<void> {
    return this.#serially(async () => {
      const vip = this.#vip(operation.vip);
      const { weight } = operation;
      if (weight !== undefined) checkWeight(weight);
      const wanted = this.#checkAddresses(vip, operation.addresses);
      for (const [address] of wanted) {
        const server = vip.servers.get(address);
        if (server && !server.removed && weight === undefined) {
          throw new LbError('LBD_LB_AS_EXISTS', `AS ${address} of ${vipName(vip.spec)} exists already`);
        }
        if (!server) this.#checkLoop(vip, address);
      }
      const missing = [...wanted].filter(([address]) => !vip.servers.has(address)).length;
      if (missing > this.#serverPool.room) {
        throw new LbError('LBD_LB_FULL', `${missing} ASs more: there is room for ${this.#serverPool.room}`);
      }
      const touched = await this.#change(vip, () =>
        [...wanted].map(([address, bytes]) => {
          const server = vip.servers.get(address) ?? this.#makeServer(vip, address, bytes);
          server.removed = false;
          server.weight = weight ?? 100;
          return server;
        }),
      );
      if (operation.flush) await this.#flushServers(vip, touched);
    });
  }

  /** `lb_as_set_weight` */
  setWeight(operation: SetWeight): Promise<void> {
    return this.#serially(async () => {
      const vip = this.#vip(operation.vip);
      checkWeight(operation.weight);
      const server = this.#server(vip, operation.address);
      await this.#change(vip, () => {
        server.weight = operation.weight;
        return [server];
      });
      if (operation.flush) await this.#flushServers(vip, [server]);
    });
  }

  /** `lb as ... del` */
  deleteServers(operation: DeleteServers): Promise<void> {
    return this.#serially(async () => {
      const vip = this.#vip(operation.vip);
      const servers = [...this.#checkAddresses(vip, operation.addresses).keys()].map((a) => this.#server(vip, a));
      await this.#change(vip, () => {
        for (const server of servers) server.removed = true;
        return servers;
      });
      if (operation.flush) await this.#flushServers(vip, servers);
      await this.#reap(vip);
    });
  }

  /** `lb flush vip` */
  flushVip(key: VipKey): Promise<void> {
    return this.#serially(async () => {
      const vip = this.#vip(key);
      await this.#host.onWorkers({ kind: 'lb-flush', vip: vip.index });
      const all = new Set([...vip.servers.values()].map(({ index }) => index));
      await this.#controls.get(vip.encap.name)?.flush?.(all);
      await this.#reap(vip);
    });
  }

  /** `test lb flowtable flush` */
  flushFlowTable(): Promise<void> {
    return this.#serially(async () => {
      await this.#host.onWorkers({ kind: 'lb-flush' });
    });
  }

  /** Ends what has timed out and frees what nothing refers to; called about once a second. */
  sweep(): Promise<void> {
    return this.#serially(async () => {
      for (const control of this.#controls.values()) await control.sweep?.();
      for (const vip of this.#vips.values()) await this.#reap(vip);
    });
  }

  // ---- What there is -----------------------------------------------------------------------------------------------

  summary(): LbSummary {
    const sessions = [...this.#controls.values()].flatMap((control) => control.usage?.() ?? []);
    return {
      conf: this.#conf,
      vips: this.#vips.size,
      servers: [...this.#vips.values()].reduce((n, { servers }) => n + servers.size, 0),
      sticky: this.#stickyTables().map((table, worker) => {
        const { live, capacity } = table.usage(this.#host.now());
        return { worker, used: live, capacity };
      }),
      sessions,
    };
  }

  /** VIPs in the order of their indices. */
  vips(): VipState[] {
    const flows = this.#countFlows();
    const { memory } = this.#host.arena;
    return [...this.#vips.values()]
      .sort((a, b) => a.index - b.index)
      .map((vip) => ({
        ...vip.spec,
        index: vip.index,
        removed: false,
        counters: readVipCounters(memory, this.#lb, vip.index),
        servers: [...vip.servers.values()].map((server) => this.#serverState(server, flows)),
      }));
  }

  #serverState(server: Server, flows: ReadonlyMap<number, number>): ServerState {
    const { memory } = this.#host.arena;
    const word = memory.u32[(this.#serverAt(server.index) + L.AS_DPO) >>> 2]!;
    return {
      address: server.address,
      weight: server.weight,
      buckets: server.buckets,
      flows: flows.get(server.index) ?? 0,
      state: server.removed ? 'removed' : 'used',
      dpo: this.#host.describe(word),
    };
  }

  // ---- Servers -----------------------------------------------------------------------------------------------------

  /** Changes servers of a VIP and publishes its new-flow table; if that fails, nothing has changed. */
  async #change(vip: Vip, apply: () => Server[]): Promise<Server[]> {
    const before = [...vip.servers.values()].map((server) => ({ server, ...server }));
    try {
      const touched = apply();
      await this.#newFlow.rebuild(vip);
      return touched;
    } catch (error) {
      const known = new Set(before.map(({ server }) => server));
      for (const server of vip.servers.values()) if (!known.has(server)) this.#freeServer(vip, server);
      for (const { server, weight, removed } of before) Object.assign(server, { weight, removed });
      throw error;
    }
  }

  #makeServer(vip: Vip, address: string, bytes: Uint8Array): Server {
    const { memory } = this.#host.arena;
    const index = this.#serverPool.take();
    const at = this.#serverAt(index);
    memory.u8.fill(0, at, at + (1 << L.AS_SHIFT));
    memory.u32[(at + L.AS_VIP) >>> 2] = vip.index;
    memory.view.setUint16(at + L.AS_PORT, vip.spec.targetPort ?? 0);
    memory.u8.set(wideBytes(bytes), at + L.AS_ADDRESS);
    const tracker = this.#host.track(address, (word) => {
      const loops = this.#leadsToVip(word);
      if (loops) this.#looping.add(index);
      else this.#looping.delete(index);
      Atomics.store(memory.u32, (at + L.AS_DPO) >>> 2, loops ? NO_ROUTE : word);
    });
    const server: Server = { address, bytes, index, weight: 100, removed: false, buckets: 0, tracker };
    const { protocol, targetPort } = vip.spec;
    try {
      if (targetPort !== undefined) this.#host.addReturn(address, PROTOCOLS[protocol!], targetPort);
    } catch (error) {
      tracker.close();
      this.#serverPool.give(index);
      throw error;
    }
    vip.servers.set(address, server);
    if (vip.encap.tunnel) this.#tunnelEnds.add(wideBytes(bytes));
    this.#controls.get(vip.encap.name)?.serverAdded?.(index, vip.index, vip.spec);
    return server;
  }

  #freeServer(vip: Vip, server: Server): void {
    this.#controls.get(vip.encap.name)?.serverFreed?.(server.index, vip.index, vip.spec);
    const { protocol, targetPort } = vip.spec;
    if (targetPort !== undefined) this.#host.removeReturn(server.address, PROTOCOLS[protocol!], targetPort);
    if (vip.encap.tunnel) this.#tunnelEnds.remove(wideBytes(server.bytes));
    server.tracker.close();
    this.#looping.delete(server.index);
    vip.servers.delete(server.address);
    this.#serverPool.give(server.index);
  }

  /** Frees the removed servers that no flow is on any more. */
  async #reap(vip: Vip): Promise<void> {
    const removed = [...vip.servers.values()].filter((server) => server.removed);
    if (removed.length === 0) return;
    // A worker in the middle of a vector may have an earlier now, by which a flow lives that is over by ours.
    const flows = this.#countFlows(this.#host.now() - CLOCK_SLACK);
    const idle = removed.filter(({ index }) => !flows.has(index));
    if (idle.length === 0) return;
    // State of theirs that has timed out but is still there must not come to life again with another's record.
    await this.#controls.get(vip.encap.name)?.flush?.(new Set(idle.map(({ index }) => index)));
    // Nobody can choose them any more; what was chosen before is past its vector after this.
    await this.#host.epochs.quiescent();
    for (const server of idle) this.#freeServer(vip, server);
  }

  async #flushServers(vip: Vip, servers: readonly Server[]): Promise<void> {
    const indices = servers.map(({ index }) => index);
    await this.#host.onWorkers({ kind: 'lb-flush', servers: indices });
    await this.#controls.get(vip.encap.name)?.flush?.(new Set(indices));
  }

  #countFlows(now = this.#host.now()): Map<number, number> {
    const flows = new Map<number, number>();
    for (const table of this.#stickyTables()) {
      for (const [server, n] of table.countByAs(now)) flows.set(server, (flows.get(server) ?? 0) + n);
    }
    // A flow that an encap holds is mostly in the sticky table, too: what both have is not counted twice.
    for (const control of this.#controls.values()) {
      for (const [server, n] of control.countFlows?.(now) ?? []) flows.set(server, Math.max(flows.get(server) ?? 0, n));
    }
    return flows;
  }

  // ---- VIPs --------------------------------------------------------------------------------------------------------

  #writeVip(vip: Vip): void {
    const { memory } = this.#host.arena;
    const at = this.#lb.vips + (vip.index << L.VIP_SHIFT);
    const { spec } = vip;
    memory.u8.fill(0, at, at + (1 << L.VIP_SHIFT));
    memory.u32[(at + L.VIP_MASK) >>> 2] = spec.newLen - 1;
    memory.u32[(at + L.VIP_NEW_FLOW) >>> 2] = vip.newFlow;
    memory.u32[(at + L.VIP_ENCAP) >>> 2] = this.#host.encapPlace(vip.encap.name);
    memory.u32[(at + L.VIP_FLAGS) >>> 2] = spec.srcIpSticky ? L.VIP_SRC_IP_STICKY : 0;
    memory.view.setUint16(at + L.VIP_PORT, spec.port ?? 0);
    memory.view.setUint16(at + L.VIP_TARGET_PORT, spec.targetPort ?? 0);
    memory.u8[at + L.VIP_PROTOCOL] = spec.protocol === undefined ? 0 : PROTOCOLS[spec.protocol];
    memory.u8[at + L.VIP_DSCP] = spec.dscp ?? 0;
    memory.u8[at + L.VIP_LENGTH] = vip.prefix.length;
    memory.u8.set(wideBytes(vip.prefix.bytes), at + L.VIP_ADDRESS);
    for (const counters of this.#lb.counters) {
      const first = (counters + (vip.index << L.VIP_COUNTERS_SHIFT)) >>> 3;
      memory.u64.fill(0n, first, first + 4);
    }
  }

  /** If it fails, nothing leads to the VIP. */
  #publishVip(vip: Vip, peers: VipPrefix | undefined): void {
    const { spec } = vip;
    const text = spec.prefix;
    const { dpoTypes } = this.#host;
    const { family } = vip.prefix;
    if (spec.port === undefined) {
      this.#host.addPrefix(text, dpo(dpoTypes[`lb${family}`], vip.index));
      this.#prefixes.set(text, { text, group: 0, encap: spec.encap, vips: new Set([vip]) });
      return;
    }
    const group = peers?.group ?? this.#groupPool.take();
    const key = portKey(group, PROTOCOLS[spec.protocol!], spec.port);
    try {
      this.#ports.set(key, BigInt(vip.index));
      if (!peers) this.#host.addPrefix(text, dpo(dpoTypes[`lb${family}-port`], group));
    } catch (error) {
      this.#ports.delete(key);
      if (!peers) this.#groupPool.give(group);
      throw error;
    }
    if (peers) peers.vips.add(vip);
    else this.#prefixes.set(text, { text, group, encap: spec.encap, vips: new Set([vip]) });
  }

  #unpublishVip(vip: Vip): void {
    const { spec } = vip;
    const peers = this.#prefixes.get(spec.prefix)!;
    if (spec.port !== undefined) this.#ports.delete(portKey(peers.group, PROTOCOLS[spec.protocol!], spec.port));
    peers.vips.delete(vip);
    if (peers.vips.size > 0) return;
    this.#prefixes.delete(spec.prefix);
    this.#host.removePrefix(spec.prefix);
    if (peers.group !== 0) this.#groupPool.give(peers.group);
  }

  // ---- Settings ----------------------------------------------------------------------------------------------------

  #publishConf(): void {
    const { memory } = this.#host.arena;
    const { ip4SrcAddress, ip6SrcAddress, flowHash } = this.#conf;
    for (const block of this.#lb.blocks) {
      memory.u32[(block + L.LB_HASH) >>> 2] = this.#lb.flowHashes[flowHash];
      if (ip4SrcAddress !== undefined) memory.u8.set(addressBytes(ip4SrcAddress), block + L.LB_SOURCE4);
      if (ip6SrcAddress !== undefined) memory.u8.set(addressBytes(ip6SrcAddress), block + L.LB_SOURCE6);
    }
  }

  /** Gives each worker a sticky table of that size and timeout; live flows move along. */
  async #replaceSticky({ buckets, timeout }: LbConfState): Promise<void> {
    const { arena } = this.#host;
    const old = this.#stickyTables().map(({ address }) => address);
    const tables: number[] = [];
    try {
      for (const worker of old.keys()) {
        const label = `lb: worker ${worker}: sticky table`;
        tables.push(StickyTable.create(arena, { label, buckets, timeout }).address);
      }
    } catch (error) {
      for (const address of tables) arena.free(address);
      throw error;
    }
    await this.#host.onWorkers({ kind: 'lb-sticky', tables, now: this.#host.now() });
    await this.#host.epochs.quiescent();
    for (const address of old) arena.free(address);
  }

  // ---- Small things ------------------------------------------------------------------------------------------------

  #stickyTables(): StickyTable[] {
    const { memory } = this.#host.arena;
    return this.#lb.blocks.map((block) =>
      StickyTable.attach(memory, Atomics.load(memory.u32, (block + L.LB_STICKY) >>> 2)),
    );
  }

  #serverAt(index: number): number {
    return this.#lb.servers + (index << L.AS_SHIFT);
  }

  #encap(name: string): Encap {
    const encap = this.#encaps.get(name);
    if (encap) return encap;
    const known = [...this.#encaps.keys()].join(', ');
    throw new LbError('LBD_LB_ENCAP', `encap ${name} is not available; available are: ${known}`);
  }

  #vip(key: VipKey): Vip {
    const vip = this.#vips.get(vipId(key));
    if (!vip) throw new LbError('LBD_LB_NO_VIP', `there is no ${vipName(key)}`);
    return vip;
  }

  #server(vip: Vip, address: string): Server {
    const server = vip.servers.get(addressText(addressBytes(address)));
    if (!server || server.removed) throw new LbError('LBD_LB_NO_AS', `${vipName(vip.spec)} has no AS ${address}`);
    return server;
  }

  /** Addresses in normal form, each once. */
  #checkAddresses(vip: Vip, addresses: readonly string[]): Map<string, Uint8Array> {
    if (addresses.length === 0) throw new LbError('LBD_LB_INVALID', 'no AS address given: at least one is needed');
    const wanted = new Map<string, Uint8Array>();
    for (const text of addresses) {
      const bytes = checkServerAddress(vip, text);
      const address = addressText(bytes);
      if (wanted.has(address)) throw new LbError('LBD_LB_INVALID', `AS ${address} is given twice`);
      wanted.set(address, bytes);
    }
    return wanted;
  }

  /** What leads to a VIP would go round in circles. */
  #leadsToVip(word: number): boolean {
    return Object.values(this.#host.dpoTypes).includes(dpoType(word));
  }

  #checkLoop(vip: Vip, address: string): void {
    if (!this.#leadsToVip(this.#host.lookup(address))) return;
    throw new LbError(
      'LBD_LB_AS_LOOPS',
      `AS ${address} of ${vipName(vip.spec)}: packets to it would come back to a VIP, since the address lies in a VIP's prefix; use an address outside or add a longer route to it`,
    );
  }

  /** Takes the VIP back, and throws, if it lies across the way to servers that there are. */
  #checkServersOutside(vip: Vip, before: ReadonlySet<number>): void {
    const server = [...this.#looping].find((index) => !before.has(index));
    if (server === undefined) return;
    this.#unpublishVip(vip);
    const at = this.#serverAt(server) + L.AS_ADDRESS;
    const bytes = this.#host.arena.memory.u8.slice(at, at + 16);
    const address = addressText(bytes.subarray(0, 12).some((byte) => byte !== 0) ? bytes : bytes.subarray(12));
    throw new LbError(
      'LBD_LB_AS_LOOPS',
      `${vipName(vip.spec)}: packets to AS ${address} would come back to it; use another prefix or add a longer route to the AS`,
    );
  }

  #serially<T>(operation: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(operation);
    this.#queue = done.catch(() => {});
    return done;
  }
}

function checkPeers(spec: VipSpec, peers: VipPrefix): void {
  const allPort = peers.group === 0;
  if (allPort || spec.port === undefined) {
    const has = allPort ? 'an all-port VIP' : 'per-port VIPs';
    throw new LbError('LBD_LB_VIP_CONFLICT', `prefix ${peers.text} has ${has} already: one or the other is allowed`);
  }
  if (peers.encap !== spec.encap) {
    throw new LbError(
      'LBD_LB_VIP_CONFLICT',
      `prefix ${peers.text} has VIPs with encap ${peers.encap}: all per-port VIPs of a prefix must have the same`,
    );
  }
}

function checkWeight(weight: number): void {
  if (Number.isInteger(weight) && weight >= 0 && weight <= 100) return;
  throw new LbError('LBD_LB_INVALID', `weight ${weight}: must be from 0 to 100`);
}

function checkConf({ buckets, timeout, flowHash, ip4SrcAddress, ip6SrcAddress }: LbConf): void {
  const most = 1 << 24;
  if (
    buckets !== undefined &&
    (!(Number.isInteger(buckets) && buckets >= 1 && buckets <= most) || (buckets & (buckets - 1)) !== 0)
  ) {
    throw new LbError('LBD_LB_INVALID', `buckets ${buckets}: must be a power of two, 1 to ${most}`);
  }
  if (timeout !== undefined && !(Number.isInteger(timeout) && timeout >= 1 && timeout <= 1 << 30)) {
    throw new LbError('LBD_LB_INVALID', `timeout ${timeout}: must be 1 to ${1 << 30} seconds`);
  }
  if (flowHash !== undefined && flowHash !== 'crc32c' && flowHash !== 'keyed') {
    throw new LbError('LBD_LB_INVALID', `flow-hash ${flowHash as string}: must be crc32c or keyed`);
  }
  if (ip4SrcAddress !== undefined && addressBytes(ip4SrcAddress).length !== 4) {
    throw new LbError('LBD_LB_FAMILY', `ip4-src-address ${ip4SrcAddress}: must be an IPv4 address`);
  }
  if (ip6SrcAddress !== undefined && addressBytes(ip6SrcAddress).length !== 16) {
    throw new LbError('LBD_LB_FAMILY', `ip6-src-address ${ip6SrcAddress}: must be an IPv6 address`);
  }
}
