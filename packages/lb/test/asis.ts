import { flowHash4, flowHash6, maglev } from '@lbd/maglev';
import { addressBytes, icmp4, icmp6, ip4, ip6, type Part, packet, tcp, udp } from '@lbd/packet';
import { AS_SHIFT, defineEncap, type Encap } from '../src/index.ts';

/** An encap that leaves packets as they are: what comes out shows the server that was chosen. */
export function asis(family: 4 | 6, parts: Partial<Encap> = {}): Encap {
  const name = parts.name ?? `asis${family}`;
  return defineEncap({
    name,
    vipFamilies: [family],
    serverFamily: family,
    summary: 'leaves packets as they are',
    overhead: 0,
    vip: { targetPort: 'refused', dscp: 'refused' },
    nodes: (lb) => [
      {
        name,
        next: ['drop'],
        fanOut: 'dpo',
        process(context, vector, count, nexts) {
          for (let i = 0; i < count; i++) {
            const p = context.packet(vector[i]!);
            p.dpo = context.memory.u32[(lb.servers + (p.as << AS_SHIFT)) >>> 2]!;
            nexts[i] = 1 + (p.dpo >>> 24);
          }
          return -1;
        },
      },
    ],
    ...parts,
  }) as Encap;
}

/** What tests of both families have in common. */
export interface FamilyWords {
  readonly family: 4 | 6;
  readonly prefix: string;
  /** Addresses in the prefix. */
  readonly vip: string;
  readonly other: string;
  /** Address of the interface that packets come in on. */
  readonly own: string;
  readonly router: string;
  readonly servers: readonly string[];
  client(n: number): string;
  /** An IP header with this in it. */
  ip(fields: { src: string; dst: string; ttl?: number; df?: boolean }): Part;
  icmp: typeof icmp4;
  readonly echo: number;
  readonly echoReply: number;
  readonly errors: readonly number[];
  hash(src: string, dst: string, sport: number, dport: number): number;
}

const v4: FamilyWords = {
  family: 4,
  prefix: '90.0.0.0/8',
  vip: '90.1.2.3',
  other: '90.200.0.9',
  own: '192.0.2.1',
  router: '7.7.7.7',
  servers: ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'],
  client: (n) => `1.2.${n >> 8}.${n & 255}`,
  ip: ({ df = false, ...fields }) => ip4({ ...fields, ...(df ? { df } : {}) }),
  icmp: icmp4,
  echo: 8,
  echoReply: 0,
  errors: [3, 11, 12],
  hash: (src, dst, sport, dport) => flowHash4(addressBytes(src), addressBytes(dst), sport, dport),
};

const v6: FamilyWords = {
  family: 6,
  prefix: '2001:db8:90::/48',
  vip: '2001:db8:90::1:2:3',
  other: '2001:db8:90::1:2:9',
  own: '2001:db8:ffff::1',
  router: '2001:db8:7::7',
  servers: ['fd00::1', 'fd00::2', 'fd00::3', 'fd00::4'],
  client: (n) => `2001:db8:1::${n.toString(16)}`,
  ip: ({ src, dst, ttl }) => ip6({ src, dst, ...(ttl === undefined ? {} : { hopLimit: ttl }) }),
  icmp: icmp6 as typeof icmp4,
  echo: 128,
  echoReply: 129,
  errors: [1, 2, 3, 4],
  hash: (src, dst, sport, dport) => flowHash6(addressBytes(src), addressBytes(dst), sport, dport),
};

export const FAMILIES = [v4, v6];

/** Packets of flow `n`: each has a client address and port of its own. */
export function flowPacket(f: FamilyWords, n: number, more: Flow = {}): Uint8Array {
  const { dst = f.vip, dport = 53, protocol = 'udp', bytes = 20, ...fields } = more;
  const l4 = { sport: 1024 + n, dport };
  const payload = Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + n) & 255);
  return packet(f.ip({ src: f.client(n), dst, ...fields }), protocol === 'udp' ? udp(l4) : tcp(l4), payload);
}

export interface Flow {
  readonly dst?: string;
  readonly dport?: number;
  readonly protocol?: 'udp' | 'tcp';
  /** Of payload. */
  readonly bytes?: number;
  readonly ttl?: number;
  readonly df?: boolean;
}

/** Index in `servers` that the Maglev reference gives to the flow. */
export function reference(
  f: FamilyWords,
  n: number,
  servers: readonly string[],
  length = 1024,
  more: Flow = {},
): number {
  const table = maglev(
    length,
    servers.map((address) => ({ address: addressBytes(address) })),
  );
  const { dst = f.vip, dport = 53 } = more;
  return table[f.hash(f.client(n), dst, 1024 + n, dport) & (length - 1)]!;
}
