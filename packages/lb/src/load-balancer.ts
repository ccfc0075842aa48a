import { addressBytes, addressText, prefixText } from '@lbd/packet';
import { Conf } from './conf.ts';
import { VipDirectory } from './directory.ts';
import type { Encap, EncapControl } from './encap.ts';
import { LbError } from './errors.ts';
import { Flows } from './flows.ts';
import type { LbHost } from './host.ts';
import type {
  AddServers,
  DeleteServers,
  LbConf,
  LbConfState,
  LbSummary,
  SetWeight,
  VipKey,
  VipSpec,
  VipState,
} from './model.ts';
import { NewFlowTables } from './new-flow.ts';
import { Servers } from './servers.ts';
import { type LbHandles, RecordPool, readVipCounters } from './tables.ts';
import { checkServerAddress, checkSpec, type Server, type Vip, vipId, vipName, writeVip } from './vip.ts';

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
  readonly #conf: Conf;
  readonly #directory: VipDirectory;
  readonly #servers: Servers;
  readonly #newFlow: NewFlowTables;
  readonly #flows: Flows;
  readonly #vipPool: RecordPool;
  readonly #vips = new Map<string, Vip>();
  /** VIPs with servers that are deleted but have flows. */
  readonly #draining = new Set<Vip>();
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
    this.#conf = new Conf(host, lb, conf);
    this.#directory = new VipDirectory(host, lb);
    this.#servers = new Servers(host, lb, controls);
    this.#newFlow = new NewFlowTables(host, lb);
    this.#flows = new Flows(host, lb, this.#conf.sticky, controls);
    this.#vipPool = new RecordPool('VIPs', lb.maxVips);
  }

  // ---- Operations --------------------------------------------------------------------------------------------------

  /** `lb conf` */
  lbConf(change: LbConf): Promise<void> {
    return this.#serially(() => this.#conf.change(change));
  }

  lbConfGet(): LbConfState {
    return this.#conf.state;
  }

  /** `lb vip` */
  addVip(spec: VipSpec): Promise<void> {
    return this.#serially(async () => {
      const encap = this.#encap(spec.encap);
      const prefix = checkSpec(spec, encap);
      const id = vipId(spec);
      if (this.#vips.has(id)) throw new LbError('LBD_LB_VIP_EXISTS', `${vipName(spec)} exists already`);
      const text = prefixText(prefix);
      this.#directory.check(spec, prefix.family, text);
      const newFlow = this.#newFlow.empty(vipName(spec), spec.newLen);
      try {
        const index = this.#vipPool.take();
        try {
          const vip: Vip = { spec: { ...spec, prefix: text }, prefix, encap, index, newFlow, servers: new Map() };
          writeVip(this.#host.arena.memory, this.#lb, vip, this.#host.encapPlace(encap.name));
          this.#publish(vip);
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
      this.#directory.unpublish(vip);
      this.#vips.delete(vipId(key));
      this.#draining.delete(vip);
      const servers = [...vip.servers.values()];
      await this.#host.epochs.quiescent();
      await this.#flushControl(vip, servers);
      await this.#host.onWorkers({ kind: 'lb-flush', vip: vip.index });
      for (const server of servers) this.#servers.free(vip, server);
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
      const wanted = checkAddresses(vip, operation.addresses);
      for (const [address] of wanted) {
        const server = vip.servers.get(address);
        if (server && !server.removed && weight === undefined) {
          throw new LbError('LBD_LB_AS_EXISTS', `AS ${address} of ${vipName(vip.spec)} exists already`);
        }
        if (!server) this.#servers.checkOutside(vip, address);
      }
      const missing = [...wanted].filter(([address]) => !vip.servers.has(address)).length;
      if (missing > this.#servers.room) {
        throw new LbError('LBD_LB_FULL', `${missing} ASs more: there is room for ${this.#servers.room}`);
      }
      const touched = await this.#change(vip, () =>
        [...wanted].map(([address, bytes]) => {
          const server = vip.servers.get(address) ?? this.#servers.make(vip, address, bytes);
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
      const server = serverOf(vip, operation.address);
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
      const servers = [...checkAddresses(vip, operation.addresses).keys()].map((address) => serverOf(vip, address));
      await this.#change(vip, () => {
        for (const server of servers) server.removed = true;
        return servers;
      });
      this.#draining.add(vip);
      if (operation.flush) await this.#flushServers(vip, servers);
      await this.#reap([vip]);
    });
  }

  /** `lb flush vip` */
  flushVip(key: VipKey): Promise<void> {
    return this.#serially(async () => {
      const vip = this.#vip(key);
      await this.#host.onWorkers({ kind: 'lb-flush', vip: vip.index });
      await this.#flushControl(vip, vip.servers.values());
      await this.#reap([vip]);
    });
  }

  /** `test lb flowtable flush` */
  flushFlowTable(): Promise<void> {
    return this.#serially(() => this.#host.onWorkers({ kind: 'lb-flush' }));
  }

  /** Ends what has timed out and frees what nothing refers to; called about once a second. */
  sweep(): Promise<void> {
    return this.#serially(async () => {
      for (const control of this.#controls.values()) await control.sweep?.();
      await this.#reap(this.#draining);
    });
  }

  // ---- What there is -----------------------------------------------------------------------------------------------

  summary(): LbSummary {
    const sessions = [...this.#controls.values()].flatMap((control) => control.usage?.() ?? []);
    return {
      conf: this.#conf.state,
      vips: this.#vips.size,
      servers: [...this.#vips.values()].reduce((n, { servers }) => n + servers.size, 0),
      sticky: this.#conf.sticky.usage(),
      sessions,
    };
  }

  /** VIPs in the order of their indices. */
  vips(): VipState[] {
    const flowsOf = this.#flows.count();
    const { memory } = this.#host.arena;
    // Many servers are behind the same gateway.
    const words = new Map<number, string>();
    const describe = (dpo: number) => {
      const known = words.get(dpo) ?? this.#host.describe(dpo);
      words.set(dpo, known);
      return known;
    };
    return [...this.#vips.values()]
      .sort((a, b) => a.index - b.index)
      .map((vip) => {
        const state = (server: Server) => this.#servers.state(server, flowsOf(server.index), describe);
        const servers = Array.from(vip.servers.values(), state);
        return {
          ...vip.spec,
          index: vip.index,
          removed: false,
          counters: readVipCounters(memory, this.#lb, vip.index),
          flows: servers.reduce((sum, { flows }) => sum + flows, 0),
          ...noteOn(vip),
          servers,
        };
      });
  }

  // ---- How it is done ----------------------------------------------------------------------------------------------

  /** Makes packets come to a VIP, if it does not lie across the way to servers that there are. */
  #publish(vip: Vip): void {
    const before = this.#servers.looping();
    this.#directory.publish(vip);
    try {
      this.#servers.checkNoneInside(vip, before);
    } catch (error) {
      this.#directory.unpublish(vip);
      throw error;
    }
  }

  /** Changes servers of a VIP and publishes its new-flow table; if that fails, nothing has changed. */
  async #change(vip: Vip, apply: () => Server[]): Promise<Server[]> {
    const before = [...vip.servers.values()].map((server) => ({ server, ...server }));
    try {
      const touched = apply();
      await this.#newFlow.rebuild(vip);
      return touched;
    } catch (error) {
      const known = new Set(before.map(({ server }) => server));
      for (const server of vip.servers.values()) if (!known.has(server)) this.#servers.free(vip, server);
      for (const { server, weight, removed } of before) Object.assign(server, { weight, removed });
      throw error;
    }
  }

  /** Frees the deleted servers of these VIPs that no flow is on any more. */
  async #reap(vips: Iterable<Vip>): Promise<void> {
    const removed = [...vips].flatMap((vip) => {
      const servers = [...vip.servers.values()].filter((server) => server.removed);
      if (servers.length === 0) this.#draining.delete(vip);
      return servers.map((server) => ({ vip, server }));
    });
    if (removed.length === 0) return;
    // A worker in the middle of a vector may have an earlier now, by which a flow lives that is over by ours.
    const flowsOf = this.#flows.count(this.#host.now() - CLOCK_SLACK);
    const idle = removed.filter(({ server }) => flowsOf(server.index) === 0);
    if (idle.length === 0) return;
    for (const vip of new Set(idle.map((one) => one.vip))) {
      const servers = idle.filter((one) => one.vip === vip).map(({ server }) => server);
      // State of theirs that has timed out but is still there must not come to life again with another's record.
      await this.#flushControl(vip, servers);
      this.#servers.forget(servers);
    }
    // Nobody can choose them any more; what was chosen before is past its vector after this.
    await this.#host.epochs.quiescent();
    for (const { vip, server } of idle) this.#servers.free(vip, server);
  }

  async #flushServers(vip: Vip, servers: readonly Server[]): Promise<void> {
    await this.#host.onWorkers({ kind: 'lb-flush', servers: servers.map(({ index }) => index) });
    await this.#flushControl(vip, servers);
  }

  async #flushControl(vip: Vip, servers: Iterable<Server>): Promise<void> {
    const control = this.#controls.get(vip.encap.name);
    await control?.flush?.(new Set(Array.from(servers, ({ index }) => index)));
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

  #serially<T>(operation: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(operation);
    this.#queue = done.catch(() => {});
    return done;
  }
}

function serverOf(vip: Vip, address: string): Server {
  const server = vip.servers.get(addressText(addressBytes(address)));
  if (!server || server.removed) throw new LbError('LBD_LB_NO_AS', `${vipName(vip.spec)} has no AS ${address}`);
  return server;
}

/** Addresses in normal form, each once. */
function checkAddresses(vip: Vip, addresses: readonly string[]): Map<string, Uint8Array> {
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

function checkWeight(weight: number): void {
  if (Number.isInteger(weight) && weight >= 0 && weight <= 100) return;
  throw new LbError('LBD_LB_INVALID', `weight ${weight}: must be from 0 to 100`);
}

/** What an encap has to say of a VIP. A plugin that can't say it must not keep others from being shown. */
function noteOn({ encap, spec }: Vip): { note?: string } {
  try {
    return encap.show ? { note: encap.show(spec) } : {};
  } catch (error) {
    return { note: `encap ${encap.name} can't show it: ${(error as Error).message}` };
  }
}
