import { readFileSync } from 'node:fs';
import { Bihash, type BihashError } from '@lbd/bihash';
import type { EncapControl, EncapHost, SessionUsage, VipSpec } from '@lbd/lb';
import { AS_ADDRESS, AS_ADDRESS4, AS_PORT, AS_SHIFT } from '@lbd/lb';
import { PROTOCOL_TCP, PROTOCOL_UDP } from '@lbd/packet';
import { kernels } from './kernels.ts';
import * as L from './layout.ts';
import type { NatHandles } from './tables.ts';

/** Sessions that one call of sweep() looks at: 16 MiB of records, a few milliseconds. */
const SWEEP_SESSIONS = 1 << 18;
/** Sessions that one call of the kernel lists. */
const SWEEP_ROOM = 4096;

interface NatKernels {
  nat_sweep(nat: number, from: number, to: number, now: number, list: number, room: number): number;
  nat_end(nat: number, index: number): number;
  nat_free(nat: number, index: number): void;
}

/** The control plane's side of one family's NAT: ends sessions, and maps servers to VIPs for packets without a session. */
export class NatControl implements EncapControl {
  readonly #host: EncapHost;
  readonly #nat: NatHandles;
  readonly #kernels: NatKernels;
  readonly #table: Bihash;
  readonly #list: number;
  /** VIPs of each server's address, protocol and port, and whether the VIP is a single address and port. */
  readonly #vips = new Map<string, Map<number, boolean>>();
  #from = 1;

  constructor(host: EncapHost, nat: NatHandles) {
    this.#host = host;
    this.#nat = nat;
    const module = new WebAssembly.Module(readFileSync(kernels));
    this.#kernels = host.arena.memory.instantiate(module) as unknown as NatKernels;
    this.#table = Bihash.attach(host.arena.memory, nat.table);
    this.#list = host.arena.allocate(`nat${nat.family}: sessions to free`, SWEEP_ROOM * 4);
  }

  serverAdded(server: number, vip: number, spec: VipSpec): void {
    this.#map(server, vip, spec, true);
  }

  serverFreed(server: number, vip: number, spec: VipSpec): void {
    this.#map(server, vip, spec, false);
  }

  async flush(servers: ReadonlySet<number>): Promise<void> {
    for (const session of this.#live()) {
      if (servers.has(this.#word(session, L.SESSION_AS))) this.#kernels.nat_end(this.#nat.block, session);
    }
    await this.#freeDead(1, this.#used());
  }

  countFlows(now: number): Map<number, number> {
    const flows = new Map<number, number>();
    for (const session of this.#live()) {
      if (this.#word(session, L.SESSION_EXPIRY) <= now) continue;
      const server = this.#word(session, L.SESSION_AS);
      flows.set(server, (flows.get(server) ?? 0) + 1);
    }
    return flows;
  }

  async sweep(): Promise<void> {
    const used = this.#used();
    const to = Math.min(this.#from + SWEEP_SESSIONS, used);
    await this.#freeDead(this.#from, to);
    this.#from = to === used ? 1 : to;
  }

  usage(): SessionUsage {
    const { memory } = this.#host.arena;
    const sessions = Atomics.load(memory.u32, (this.#nat.block + L.NAT_LIVE) >>> 2);
    return { name: `nat${this.#nat.family}`, sessions, capacity: this.#nat.capacity };
  }

  /** Ends what is over of [from, to), and frees what is dead once no worker can be using it. */
  async #freeDead(from: number, to: number): Promise<void> {
    const { u32 } = this.#host.arena.memory;
    for (let at = from; at < to; ) {
      const n = this.#kernels.nat_sweep(this.#nat.block, at, to, this.#host.now(), this.#list, SWEEP_ROOM);
      if (n === 0) return;
      const dead = Array.from(u32.subarray(this.#list >>> 2, (this.#list >>> 2) + n));
      await this.#host.epochs.quiescent();
      for (const session of dead) this.#kernels.nat_free(this.#nat.block, session);
      if (n < SWEEP_ROOM) return;
      at = dead[n - 1]! + 1;
    }
  }

  /**
   * A reply without a session may be translated if exactly one VIP has its server and port, and that VIP is one address:
   * else nobody knows which address the client used. A node port's client may have used any of the node's.
   */
  #map(server: number, vip: number, spec: VipSpec, add: boolean): void {
    if (spec.protocol === undefined) return;
    const bytes = this.#serverKey(server, spec.protocol === 'tcp' ? PROTOCOL_TCP : PROTOCOL_UDP);
    const key = bytes.join('.');
    const vips = this.#vips.get(key) ?? new Map<number, boolean>();
    this.#vips.set(key, vips);
    const single = this.#nat.family === 4 ? '/32' : '/128';
    if (add) vips.set(vip, spec.type === 'clusterip' && spec.prefix.endsWith(single));
    else vips.delete(vip);
    const [only] = vips;
    if (vips.size !== 1 || !only![1] || !this.#remember(bytes, only![0])) this.#table.delete(bytes);
    if (vips.size === 0) this.#vips.delete(key);
  }

  /** False if there is no room among the keys of sessions: such replies are the kernel's then, and VIPs come and go all the same. */
  #remember(key: Uint8Array, vip: number): boolean {
    try {
      this.#table.set(key, BigInt(vip));
      return true;
    } catch (error) {
      if ((error as BihashError).code !== 'LBD_BIHASH_FULL') throw error;
      return false;
    }
  }

  /** Key of the kind KEY_SERVER. */
  #serverKey(server: number, protocol: number): Uint8Array {
    const { memory } = this.#host.arena;
    const six = this.#nat.family === 6;
    const address = this.#host.lb.servers + (server << AS_SHIFT) + (six ? AS_ADDRESS : AS_ADDRESS4);
    const port = this.#host.lb.servers + (server << AS_SHIFT) + AS_PORT;
    const key = new Uint8Array(six ? L.KEY6_BYTES : L.KEY4_BYTES);
    const tail = six ? L.KEY6_ADDRESSES : L.KEY4_ADDRESSES;
    key.set(memory.u8.subarray(address, address + (six ? 16 : 4)));
    key.set(memory.u8.subarray(port, port + 2), tail);
    key[tail + 4] = protocol;
    key[tail + 5] = L.KEY_SERVER;
    return key;
  }

  *#live(): Iterable<number> {
    const used = this.#used();
    for (let session = 1; session < used; session++) {
      if (this.#word(session, L.SESSION_STATE) === L.SESSION_LIVE) yield session;
    }
  }

  /** Sessions below this index have been used. Workers that find none left raise the word beyond the end for a moment. */
  #used(): number {
    const next = Atomics.load(this.#host.arena.memory.u32, (this.#nat.block + L.NAT_NEXT) >>> 2);
    return Math.min(next, this.#nat.capacity + 1);
  }

  #word(session: number, offset: number): number {
    return this.#host.arena.memory.u32[(this.#nat.sessions + (session << L.SESSION_SHIFT) + offset) >>> 2]!;
  }
}
