import { WORKER_FREE_COUNT } from '@lbd/graph';
import type { SentPacket } from '@lbd/graph/testing';
import { AS_ADDRESS, AS_ADDRESS4, AS_DPO, AS_SHIFT, type Encap, type Family, type VipSpec } from '@lbd/lb';
import { LbBench } from '@lbd/lb/testing';
import { addressText } from '@lbd/packet';

/** What packets of one family are sent to. */
export interface Target {
  readonly family: Family;
  readonly vip: VipSpec;
  /** The VIP's address. */
  readonly address: string;
  /** The VIP's port; any where it has all. */
  readonly port: number;
}

/** A packet that came out on its way to a server. */
export interface Delivered extends SentPacket {
  /** Address of the server that the choosing node chose. */
  readonly server: string;
}

const PORT = 8080;
const ADDRESSES = { 4: '90.0.0.1', 6: '2001:db8:90::1' } as const;
const SERVERS = {
  4: ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
  6: ['2001:db8:10::1', '2001:db8:10::2', '2001:db8:10::3'],
} as const;
/** Sources of tunnels. */
export const SOURCES = { 4: '10.99.0.1', 6: '2001:db8:99::1' } as const;
/** What the ways to the servers take, bytes. */
export const WAY_MTU = 1500;

/** A load balancer with one encap, a VIP for each family that it serves, and three servers each. */
export class Bed {
  readonly encap: Encap;
  readonly bench: LbBench;
  readonly targets: readonly Target[];
  readonly #buffers: number;

  private constructor(encap: Encap, bench: LbBench, targets: readonly Target[]) {
    this.encap = encap;
    this.bench = bench;
    this.targets = targets;
    this.#buffers = this.freeBuffers;
  }

  /** @param options what the configuration would say of the encap */
  static async create(
    encap: Encap,
    options: Readonly<Record<string, unknown>> = {},
    sources: Partial<typeof SOURCES> = SOURCES,
  ): Promise<Bed> {
    const bench = await LbBench.create([encap], { encapOptions: options, sizes: { maxVips: 64, maxServers: 256 } });
    const targets = encap.vipFamilies.map((family): Target => {
      const length = family === 4 ? 32 : 128;
      return {
        family,
        address: ADDRESSES[family],
        port: PORT,
        vip: {
          prefix: `${ADDRESSES[family]}/${length}`,
          encap: encap.name,
          type: 'clusterip',
          newLen: 256,
          srcIpSticky: false,
          ...(encap.vip.targetPort === 'required' ? { targetPort: 80 } : {}),
          ...(encap.vip.dscp === 'required' ? { dscp: 7 } : {}),
        },
      };
    });
    const bed = new Bed(encap, bench, targets);
    await bench.lb.lbConf({
      ...(sources[4] ? { ip4SrcAddress: sources[4] } : {}),
      ...(sources[6] ? { ip6SrcAddress: sources[6] } : {}),
    });
    for (const target of targets) await bed.#addVips(target);
    return bed;
  }

  /** Per-port VIPs for TCP and UDP where the encap needs ports, else one VIP for everything. */
  async #addVips({ vip }: Target): Promise<void> {
    const perPort = this.encap.vip.port === 'required';
    const vips: VipSpec[] = perPort
      ? (['tcp', 'udp'] as const).map((protocol) => ({ ...vip, protocol, port: PORT }))
      : [vip];
    for (const each of vips) {
      await this.bench.lb.addVip(each);
      await this.bench.lb.addServers({ vip: each, addresses: SERVERS[this.encap.serverFamily], flush: false });
    }
  }

  /** Addresses of the servers. */
  get servers(): readonly string[] {
    return SERVERS[this.encap.serverFamily];
  }

  /** Longest packet that fits the way to the servers, as it comes in, bytes. */
  get longest(): number {
    return WAY_MTU - this.encap.overhead;
  }

  /** Sends packets in, in one vector if they are 256 or fewer; returns everything that came out anywhere. */
  send(...packets: readonly Uint8Array[]): SentPacket[] {
    return this.bench.send(packets);
  }

  /** As `send`; returns what went through the encap's node and on towards a server. */
  deliver(...packets: readonly Uint8Array[]): Delivered[] {
    return this.send(...packets)
      .filter(({ node, as }) => node === 'sink' && as !== 0)
      .map((packet) => ({ ...packet, server: this.serverAddress(packet.as) }));
  }

  /** Address in a server's record. */
  serverAddress(server: number): string {
    const { u8 } = this.bench.arena.memory;
    const at = this.bench.handles.servers + (server << AS_SHIFT);
    return addressText(
      this.encap.serverFamily === 4
        ? u8.slice(at + AS_ADDRESS4, at + AS_ADDRESS4 + 4)
        : u8.slice(at + AS_ADDRESS, at + AS_ADDRESS + 16),
    );
  }

  /** The DPO of a server's record: the way that its packets are to take. */
  serverDpo(server: number): number {
    return this.bench.arena.memory.u32[(this.bench.handles.servers + (server << AS_SHIFT) + AS_DPO) >>> 2]!;
  }

  /** Packets that came to the encap's node so far. */
  get seen(): number {
    return this.bench.bench.stats.runtime().find(({ node }) => node === this.encap.name)!.packets;
  }

  get freeBuffers(): number {
    const { bench, arena } = this.bench;
    return arena.memory.u32[(bench.layout.workers[0]!.block + WORKER_FREE_COUNT) >>> 2]!;
  }

  /** Buffers that came in and left nowhere. */
  get lostBuffers(): number {
    return this.#buffers - this.freeBuffers;
  }

  /** Everything counted so far, by `node: name`. */
  counters(): Map<string, number> {
    const values = this.bench.bench.stats.counters().filter(({ value }) => value !== 0n);
    return new Map(values.map(({ node, name, value }) => [`${node}: ${name}`, Number(value)]));
  }
}
