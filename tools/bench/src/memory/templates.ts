import type { Arena, Memory } from '@lbd/memory';
import { addressBytes, ethernet, ip4, ip6, packet, udp } from '@lbd/packet';
import { TEMPLATE_BYTES } from '../layout.ts';

/** lbd's MAC address: packets to another one are not its own. */
export const MAC = '02:00:00:00:00:01';
const PEER_MAC = '02:00:00:00:00:02';
export const VIP_PORT = 20000;
/** Port of the servers behind NAT. */
export const TARGET_PORT = 3307;
const CLIENT_PORT = 10000;

/** Addresses of the benchmark: flow f comes from the first client's address plus f. Less than 255 VIPs and servers. IPv4 as in the C reference. */
export const ADDRESSES = {
  4: {
    vip: (n: number) => `90.0.0.${n + 1}`,
    client: '1.0.0.0',
    clients: '1.0.0.0/8',
    server: (n: number) => `10.1.1.${n}`,
  },
  6: {
    vip: (n: number) => `2001:db8:90::${(n + 1).toString(16)}`,
    client: '2001:db8:1::',
    clients: '2001:db8:1::/48',
    server: (n: number) => `2001:db8:2::${n.toString(16)}`,
  },
} as const;

/** From the Ethernet header. */
const L3 = 14;
const LENGTHS = { 4: 22, 6: 2 } as const;

/**
 * One 64-byte packet for each flow, from the client to the VIP, or (`reply`) from server 0's target port to the client. The
 * UDP checksum of all but the first is not right, and nobody on the path may care: it is updated, not verified.
 */
export class Templates {
  readonly address: number;
  readonly flows: number;
  readonly #memory: Memory;
  readonly #family: 4 | 6;
  #vips: number;
  #renewed = 0;

  /** @param vips so many VIPs, one address after the other, take the flows in turn */
  constructor(arena: Arena, flows: number, family: 4 | 6 = 4, vips = 1) {
    this.address = arena.allocate('bench: templates', flows * TEMPLATE_BYTES);
    this.flows = flows;
    this.#memory = arena.memory;
    this.#family = family;
    this.#vips = vips;
    this.fill(false);
  }

  /** Writes all anew, for one direction. */
  fill(reply: boolean): void {
    const family = this.#family;
    const { vip, client, server } = ADDRESSES[family];
    const ends = reply ? { src: server(0), dst: client } : { src: client, dst: vip(0) };
    const ports = reply ? { sport: TARGET_PORT, dport: CLIENT_PORT } : { sport: CLIENT_PORT, dport: VIP_PORT };
    const headers = packet(
      ethernet({ dst: MAC, src: PEER_MAC }),
      family === 4 ? ip4({ ...ends, id: 0, ttl: 64 }) : ip6({ ...ends, hopLimit: 64 }),
      udp(ports),
      new Uint8Array(LENGTHS[family]),
    );
    const { u8, view } = this.#memory;
    // The last four bytes of the client's address count the flows.
    const low = L3 + (family === 4 ? (reply ? 16 : 12) : reply ? 36 : 20);
    const first = new DataView(addressBytes(client).buffer).getUint32(family === 4 ? 0 : 12);
    const lowOfVip = L3 + (family === 4 ? 16 : 36);
    const firstVip = new DataView(headers.buffer, headers.byteOffset).getUint32(lowOfVip);
    for (let flow = 0; flow < this.flows; flow++) {
      const at = this.address + flow * TEMPLATE_BYTES;
      u8.set(headers, at);
      view.setUint32(at + low, first + flow);
      if (this.#vips > 1) view.setUint32(at + lowOfVip, firstVip + (flow % this.#vips));
      if (family === 4) view.setUint16(at + L3 + 10, headerChecksum(u8, at + L3));
    }
  }

  /** Writes all anew, for so many VIPs. */
  spread(vips: number): void {
    this.#vips = vips;
    this.fill(false);
  }

  /** Gives so many flows, in turn, another source port: they end, and new ones begin. */
  renew(count: number): void {
    const { view } = this.#memory;
    const port = L3 + (this.#family === 4 ? 20 : 40);
    for (let i = 0; i < count; i++) {
      const at = this.address + (this.#renewed++ % this.flows) * TEMPLATE_BYTES + port;
      view.setUint16(at, (view.getUint16(at) + 1) & 0xffff);
    }
  }
}

/** Of the 20 bytes at an address, without the field itself (RFC 791). */
function headerChecksum(u8: Uint8Array, at: number): number {
  let sum = 0;
  for (let i = 0; i < 20; i += 2) if (i !== 10) sum += (u8[at + i]! << 8) | u8[at + i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
