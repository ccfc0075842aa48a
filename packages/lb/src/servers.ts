import { dpoType, NO_ROUTE } from '@lbd/fib';
import { addressBytes, addressText } from '@lbd/packet';
import type { EncapControl } from './encap.ts';
import { LbError } from './errors.ts';
import { AS_GENERATION } from './fragment-layout.ts';
import { forgetFragments } from './fragments.ts';
import type { LbHost } from './host.ts';
import * as L from './layout.ts';
import type { ServerState } from './model.ts';
import { type LbHandles, RecordPool } from './tables.ts';
import { TunnelEnds } from './tunnel-ends.ts';
import { undoable } from './undoable.ts';
import { PROTOCOLS, type Server, type Vip, vipName, wideBytes } from './vip.ts';
import { type Way, Ways } from './ways.ts';

const MOST_BYTES = 0xffff;

/** The records of servers: made, kept in line with the ways to them, freed. */
export class Servers {
  readonly #host: LbHost;
  readonly #lb: LbHandles;
  readonly #controls: ReadonlyMap<string, EncapControl>;
  readonly #pool: RecordPool;
  readonly #ways: Ways<Server>;
  readonly #tunnelEnds: TunnelEnds;
  /** Indices of servers packets to which would come back to a VIP. */
  readonly #looping = new Set<number>();
  readonly #vipTypes: ReadonlySet<number>;

  constructor(host: LbHost, lb: LbHandles, controls: ReadonlyMap<string, EncapControl>) {
    this.#host = host;
    this.#lb = lb;
    this.#controls = controls;
    this.#pool = new RecordPool('ASs', lb.maxServers);
    this.#ways = new Ways<Server>(host, (server, way) => this.#follow(server, way));
    this.#vipTypes = new Set(Object.values(host.dpoTypes));
    this.#tunnelEnds = new TunnelEnds(host.arena.memory, lb.tunnelEnds);
  }

  /** How many more there can be. */
  get room(): number {
    return this.#pool.room;
  }

  /** Servers, by index, packets to which would come back to a VIP now. */
  looping(): ReadonlySet<number> {
    return new Set(this.#looping);
  }

  /** Makes a record of a server, to which nothing leads yet. If it fails, there is none. */
  make(vip: Vip, address: string, bytes: Uint8Array): Server {
    const { memory } = this.#host.arena;
    const { protocol, targetPort } = vip.spec;
    return undoable((undo) => {
      const index = this.#pool.take();
      undo(() => this.#pool.give(index));
      const at = this.#at(index);
      memory.u8.fill(0, at, at + AS_GENERATION);
      memory.u32[(at + L.AS_VIP) >>> 2] = vip.index;
      memory.view.setUint16(at + L.AS_PORT, targetPort ?? 0);
      memory.u8.set(wideBytes(bytes), at + L.AS_ADDRESS);
      const server: Server = { address, vip, index, weight: 100, removed: false, buckets: 0, maxLength: 0 };
      this.#ways.follow(server);
      undo(() => {
        this.#ways.leave(server);
        this.#looping.delete(index);
      });
      if (targetPort !== undefined) {
        const returns = [address, PROTOCOLS[protocol!], targetPort] as const;
        this.#host.addReturn(...returns);
        undo(() => this.#host.removeReturn(...returns));
      }
      if (vip.encap.tunnel) {
        this.#tunnelEnds.add(wideBytes(bytes));
        undo(() => this.#tunnelEnds.remove(wideBytes(bytes)));
      }
      vip.servers.set(address, server);
      this.#limit(vip, server.maxLength);
      undo(() => {
        vip.servers.delete(address);
        this.#limit(vip);
      });
      this.#controls.get(vip.encap.name)?.serverAdded?.(index, vip.index, vip.spec);
      return server;
    });
  }

  /** Takes back what make() has made. Nothing may lead to it any more. */
  free(vip: Vip, server: Server): void {
    this.#controls.get(vip.encap.name)?.serverFreed?.(server.index, vip.index, vip.spec);
    const { protocol, targetPort } = vip.spec;
    if (targetPort !== undefined) this.#host.removeReturn(server.address, PROTOCOLS[protocol!], targetPort);
    this.#ways.leave(server);
    this.#looping.delete(server.index);
    vip.servers.delete(server.address);
    if (vip.encap.tunnel) this.#tunnelEnds.remove(wideBytes(addressBytes(server.address)));
    this.forget([server]);
    this.#pool.give(server.index);
    this.#limit(vip);
  }

  /** Fragmented datagrams that were given to these servers are not theirs any more. */
  forget(servers: Iterable<Server>): void {
    for (const { index } of servers) forgetFragments(this.#host.arena.memory, this.#lb.servers, index);
  }

  /** @param describe what a DPO is, in words */
  state(server: Server, flows: number, describe: (dpo: number) => string): ServerState {
    const word = this.#host.arena.memory.u32[(this.#at(server.index) + L.AS_DPO) >>> 2]!;
    return {
      address: server.address,
      weight: server.weight,
      buckets: server.buckets,
      flows,
      state: server.removed ? 'removed' : 'used',
      dpo: describe(word),
    };
  }

  /** @throws LbError if packets to an address would come back to a VIP */
  checkOutside(vip: Vip, address: string): void {
    if (!this.#leadsToVip(this.#host.lookup(address))) return;
    throw new LbError(
      'LBD_LB_AS_LOOPS',
      `AS ${address} of ${vipName(vip.spec)}: packets to it would come back to a VIP, since the address lies in a VIP's prefix; use an address outside or add a longer route to it`,
    );
  }

  /** @throws LbError if packets to a server that there is come back to this VIP, and did not to another before */
  checkNoneInside(vip: Vip, before: ReadonlySet<number>): void {
    const index = [...this.#looping].find((looping) => !before.has(looping));
    if (index === undefined) return;
    const at = this.#at(index) + L.AS_ADDRESS;
    const bytes = this.#host.arena.memory.u8.slice(at, at + 16);
    const address = addressText(bytes.subarray(0, 12).some((byte) => byte !== 0) ? bytes : bytes.subarray(12));
    throw new LbError(
      'LBD_LB_AS_LOOPS',
      `${vipName(vip.spec)}: packets to AS ${address} would come back to it; use another prefix or add a longer route to the AS`,
    );
  }

  #follow(server: Server, { dpo, mtu }: Way): void {
    const { vip } = server;
    const { memory } = this.#host.arena;
    const at = this.#at(server.index);
    const loops = this.#leadsToVip(dpo);
    if (loops) this.#looping.add(server.index);
    else this.#looping.delete(server.index);
    // A way that takes nothing, as of an interface that is down, is for its own nodes to judge.
    const maxLength = mtu > vip.encap.overhead ? Math.min(mtu - vip.encap.overhead, MOST_BYTES) : MOST_BYTES;
    if (maxLength < server.maxLength) this.#limit(vip, maxLength);
    const raised = maxLength > server.maxLength;
    server.maxLength = maxLength;
    Atomics.store(memory.u16, (at + L.AS_MAX_LENGTH) >>> 1, maxLength);
    Atomics.store(memory.u32, (at + L.AS_DPO) >>> 2, loops ? NO_ROUTE : dpo);
    if (raised && vip.servers.get(server.address) === server) this.#limit(vip);
  }

  /**
   * Keeps VIP_MAX_LENGTH the least of the servers' AS_MAX_LENGTH.
   * @param only of the one server that has come, or whose way takes less: the others are as they were
   */
  #limit(vip: Vip, only?: number): void {
    const { u16 } = this.#host.arena.memory;
    const at = (this.#lb.vips + (vip.index << L.VIP_SHIFT) + L.VIP_MAX_LENGTH) >>> 1;
    let least = only ?? Number.POSITIVE_INFINITY;
    if (only === undefined) for (const { maxLength } of vip.servers.values()) least = Math.min(least, maxLength);
    else if (u16[at] !== 0) least = Math.min(least, u16[at]!);
    Atomics.store(u16, at, Number.isFinite(least) ? least : 0);
  }

  #at(index: number): number {
    return this.#lb.servers + (index << L.AS_SHIFT);
  }

  /** What leads to a VIP would go round in circles. */
  #leadsToVip(word: number): boolean {
    return this.#vipTypes.has(dpoType(word));
  }
}
