import { Bihash } from '@lbd/bihash';
import { IpTables } from '@lbd/fib';
import type { SentPacket } from '@lbd/graph/testing';
import { LbBench } from '@lbd/lb/testing';
import {
  type AnyLayer,
  addressBytes,
  addressText,
  icmp4,
  icmp6,
  ip4,
  ip4Number,
  ip6,
  type Part,
  packet,
  tcp,
  udp,
} from '@lbd/packet';
import { expect } from 'vitest';
import { nat4, nat6 } from '../src/index.ts';

export interface IpFields {
  src: string;
  dst: string;
  ttl?: number;
}

/** What tests need to be the same for both families. */
export interface Family {
  readonly family: 4 | 6;
  readonly encap: typeof nat4;
  readonly name: 'nat4' | 'nat6';
  readonly in2out: string;
  readonly ip: (fields: Partial<IpFields>) => AnyLayer;
  readonly icmp: typeof icmp4;
  /** Protocol number and types of ICMP. */
  readonly unreachable: number;
  readonly timeExceeded: number;
  readonly bits: number;
  readonly ipBytes: number;
  readonly client: (n: number) => string;
  readonly vip: (n: number) => string;
  readonly server: (n: number) => string;
  /** Somebody between lbd and the servers. */
  readonly router: string;
}

const hex = (n: number) => n.toString(16);

export const FAMILIES: readonly Family[] = [
  {
    family: 4,
    encap: nat4,
    name: 'nat4',
    in2out: 'lb-nat4-in2out',
    ip: (fields) => ip4(fields),
    icmp: icmp4,
    unreachable: 3,
    timeExceeded: 11,
    bits: 32,
    ipBytes: 20,
    client: (n) => `1.2.${n >> 8}.${n & 255}`,
    vip: (n) => `90.0.0.${n}`,
    server: (n) => `10.0.0.${n}`,
    router: '172.16.5.6',
  },
  {
    family: 6,
    encap: nat6,
    name: 'nat6',
    in2out: 'lb-nat6-in2out',
    ip: ({ ttl, ...fields }) => ip6({ ...fields, ...(ttl === undefined ? {} : { hopLimit: ttl }) }),
    icmp: icmp6,
    unreachable: 1,
    timeExceeded: 3,
    bits: 128,
    ipBytes: 40,
    client: (n) => `2001:db8:1::${hex(n)}`,
    vip: (n) => `2001:db8:90::${hex(n)}`,
    server: (n) => `fd00:10::${hex(n)}`,
    router: 'fd00:cafe::6',
  },
];

/** The interface of the servers. */
export const LAN = 1;

export const SERVERS = [1, 2, 3];
export const WEB = { protocol: 'tcp', port: 8080, targetPort: 80 } as const;
export const DNS = { protocol: 'udp', port: 20000, targetPort: 3307 } as const;

export type Service = { readonly protocol: 'tcp' | 'udp'; readonly port: number; readonly targetPort: number };

/** A load balancer with one family's NAT: VIP 1 has two services, with the same servers. */
export class NatBench {
  readonly f: Family;
  readonly lb: LbBench;
  readonly #fib: IpTables;
  readonly #table: number;

  private constructor(f: Family, lb: LbBench, fib: IpTables, table: number) {
    this.f = f;
    this.lb = lb;
    this.#fib = fib;
    this.#table = table;
  }

  static async create(f: Family): Promise<NatBench> {
    // The bench's own tables lead to its sink, whose DPO type is none that in2out knows: it is given others.
    let fib: IpTables | undefined;
    let table = 0;
    const encap: typeof nat4 = {
      ...f.encap,
      allocate(arena, options) {
        fib = new IpTables(arena, undefined, { fib6: { prefixes: 1024 } });
        const handles = f.encap.allocate!(arena, options, { fib4: fib.fib4.address, fib6: fib.fib6.address });
        table = handles.table;
        return handles;
      },
    };
    const lb = await LbBench.create([encap], { encapOptions: { sessions: 4096 } });
    const bench = new NatBench(f, lb, fib!, table);
    lb.features.set(f.in2out, LAN, true);
    await bench.add(bench.vip(1, WEB));
    await bench.add(bench.vip(1, DNS));
    return bench;
  }

  vip(n: number, service: Service, more: object = {}) {
    const { encap, vip, bits } = this.f;
    const prefix = `${vip(n)}/${bits}`;
    return {
      prefix,
      ...service,
      encap: encap.name,
      type: 'clusterip',
      newLen: 1024,
      srcIpSticky: false,
      ...more,
    } as const;
  }

  async add(vip: ReturnType<NatBench['vip']>, servers = SERVERS): Promise<void> {
    await this.lb.lb.addVip(vip);
    await this.lb.lb.addServers({ vip, addresses: servers.map(this.f.server), flush: false });
  }

  /** Leaves no room for a session more. */
  crowd(): void {
    const keys = Bihash.attach(this.lb.arena.memory, this.#table);
    const key = new Uint8Array(this.f.family === 4 ? 16 : 40).fill(0xee);
    for (let n = 0, refused = 0; refused < 50_000; n++) {
      new DataView(key.buffer).setUint32(4, n);
      try {
        keys.set(key, BigInt(n));
      } catch {
        refused++;
      }
    }
  }

  /** What in2out finds for an address; no route unless told. */
  leadsTo(address: string, dpo: number): void {
    const bytes = addressBytes(address);
    if (bytes.length === 4) this.#fib.fib4.add(ip4Number(bytes), 32, dpo);
    else this.#fib.fib6.add(bytes, 128, dpo);
  }

  send(packets: Uint8Array[], rx = 0): SentPacket[] {
    return this.lb.send(packets, rx);
  }

  /** Sends a packet of which something must come out. */
  one(bytes: Uint8Array, rx = 0): SentPacket {
    const out = this.send([bytes], rx);
    expect(out).toHaveLength(1);
    return out[0]!;
  }

  counters(): Record<string, number> {
    return this.lb.bench.counters(this.f.name);
  }

  in2out(): Record<string, number> {
    return this.lb.bench.counters(this.f.in2out);
  }

  /** Servers by their number. */
  serverOf(bytes: Uint8Array): number {
    const to = destinationOf(bytes);
    return SERVERS.find((n) => this.f.server(n) === to) ?? Number.NaN;
  }
}

export const destinationOf = (bytes: Uint8Array): string =>
  addressText(bytes[0]! >> 4 === 4 ? bytes.slice(16, 20) : bytes.slice(24, 40));
export const sourceOf = (bytes: Uint8Array): string =>
  addressText(bytes[0]! >> 4 === 4 ? bytes.slice(12, 16) : bytes.slice(8, 24));

/** A TCP or UDP packet. */
export function l4Packet(
  f: Family,
  protocol: 'tcp' | 'udp',
  from: { src: string; sport: number },
  to: { dst: string; dport: number },
  more: { flags?: string; ttl?: number; checksum?: number; payload?: Part } = {},
): Uint8Array<ArrayBuffer> {
  const { flags = 'A', ttl, payload = '', ...rest } = more;
  const ip = f.ip({ src: from.src, dst: to.dst, ...(ttl === undefined ? {} : { ttl }) });
  const ports = { sport: from.sport, dport: to.dport, ...rest };
  return packet(ip, protocol === 'tcp' ? tcp({ ...ports, flags }) : udp(ports), payload);
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** An ICMP error, unreachable: who says it to whom about which packet, and how much of that it quotes. */
export function icmpError(
  f: Family,
  about: {
    readonly from: string;
    readonly to: string;
    readonly source: Endpoint;
    readonly destination: Endpoint;
    readonly protocol: 'tcp' | 'udp';
    readonly quoted: number;
    readonly ttl?: number;
  },
): Uint8Array<ArrayBuffer> {
  const { source, destination, ttl } = about;
  const from = { src: source.address, sport: source.port };
  const quoted = l4Packet(f, about.protocol, from, { dst: destination.address, dport: destination.port });
  const ip = f.ip({ src: about.from, dst: about.to, ...(ttl === undefined ? {} : { ttl }) });
  return packet(ip, f.icmp({ type: f.unreachable }), quoted.slice(0, about.quoted));
}
