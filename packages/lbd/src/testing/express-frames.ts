import {
  type AnyLayer,
  checksum,
  ethernet,
  fragmentExtension,
  icmp4,
  icmp6,
  ip4,
  ip6,
  packet,
  tcp,
  udp,
} from '@lbd/packet';
import { macOf, WITHOUT_MAC } from './express-world.ts';

/** What can be the matter with a packet. */
export const WRONG = [
  'mac',
  'group',
  'arp',
  'ip6',
  'icmp',
  'options',
  'version',
  'first fragment',
  'later fragment',
  'checksum',
  'source',
  'length',
  'short',
  'truncated',
  'padded',
] as const;

/** A TCP or UDP packet, usual or not. */
export interface FrameSpec {
  readonly protocol: 'tcp' | 'udp';
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  /** Decides about what else there is to decide. */
  readonly n: number;
  /** Of TCP. */
  readonly flags: string;
  /** Bytes. */
  readonly payload: number;
  /** What is the matter with it; usual packets have nothing. */
  readonly wrong: (typeof WRONG)[number] | 'partial' | '';
  readonly rx: number;
  readonly ttl: number;
  /** False: a UDP checksum of 0. */
  readonly sum: boolean;
}

/**
 * Without the later fragments that are too many: no more can wait for their first than the graph keeps, and which of too many
 * are dropped depends on the order among interfaces and VIPs, which nobody promises.
 */
export function withFewLater<Spec extends Pick<FrameSpec, 'wrong'>>(specs: readonly Spec[], most = 15): Spec[] {
  let later = 0;
  return specs.filter(({ wrong }) => wrong !== 'later fragment' || ++later <= most);
}

/** The packet with its Ethernet header, for the interface that it comes in on. */
export function frameOf(spec: FrameSpec): { bytes: Uint8Array; rx: number } {
  const { protocol, src, dst, sport, dport, n, wrong, rx, ttl } = spec;
  const to = rx === WITHOUT_MAC ? '02:00:00:00:00:77' : macOf(rx);
  const mac = wrong === 'mac' ? '02:00:00:00:00:55' : wrong === 'group' ? 'ff:ff:ff:ff:ff:ff' : to;
  const ether = ethernet({ dst: mac, src: '02:00:00:00:00:99' });
  const payload = new Uint8Array(spec.payload).map((_, i) => i * 37 + n);
  const l4 =
    protocol === 'tcp'
      ? tcp({ sport, dport, flags: spec.flags })
      : udp({ sport, dport, ...(spec.sum ? {} : { checksum: 0 }) });
  if (dst.includes(':')) return { bytes: frame6(spec, ether, l4, payload), rx };
  if (wrong === 'ip6') {
    return { bytes: packet(ether, ip6({ src: '2001:db8::9', dst: '2001:db8::77' }), l4, payload), rx };
  }
  const fragment = wrong === 'first fragment' ? { mf: true } : wrong === 'later fragment' ? { fragmentOffset: 8 } : {};
  const from = wrong === 'source' ? ['127.0.0.1', '0.1.2.3', '224.0.0.1'][n % 3]! : src;
  const ip = ip4({ src: from, dst, ttl, id: identification(spec), tos: (n * 21) & 255, df: n % 2 === 1, ...fragment });
  const bytes = wrong === 'icmp' ? packet(ether, ip, icmp4({}), payload) : packet(ether, ip, l4, payload);
  const header = bytes.subarray(14, 34);
  const again = () => {
    header[10] = 0;
    header[11] = 0;
    const sum = checksum(header);
    header[10] = sum >> 8;
    header[11] = sum & 255;
  };
  if (wrong === 'partial') leavePartial(bytes.subarray(34), bytes.subarray(26, 34), protocol);
  if (wrong === 'arp') bytes[13] = 6;
  if (wrong === 'options') {
    // what follows the header becomes options: whatever it is, the ordinary way says what becomes of it
    header[0] = 0x46;
    again();
  }
  if (wrong === 'version') header[0] = 0x65;
  if (wrong === 'checksum') header[10]! ^= 1 << (n % 8);
  if (wrong === 'length') {
    header[2] = 2;
    again();
  }
  if (wrong === 'short') {
    header[2] = 0;
    header[3] = 20 + (n % 20);
    again();
  }
  if (wrong === 'truncated') return { bytes: bytes.slice(0, (n * 5) % bytes.length || 1), rx };
  if (wrong === 'padded') return { bytes: Uint8Array.from([...bytes, ...new Uint8Array(n + 1).fill(0xee)]), rx };
  return { bytes, rx };
}

/** Fragments with one identification are of one flow: packets from several interfaces may come in any order. */
function identification({ n, sport, dport }: FrameSpec): number {
  return ((n * 64 + sport) * 7 + dport) & 0xffff;
}

/** An IPv6 packet; of what can be the matter, what there is in IPv6. */
function frame6(spec: FrameSpec, ether: AnyLayer, l4: AnyLayer, payload: Uint8Array): Uint8Array {
  const { protocol, src, dst, n, wrong, ttl } = spec;
  const extensions =
    wrong === 'options'
      ? [{ type: 60, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) }]
      : wrong === 'first fragment'
        ? [fragmentExtension(identification(spec), 0, true)]
        : wrong === 'later fragment'
          ? [fragmentExtension(identification(spec), 64, false)]
          : [];
  const from = wrong === 'source' ? ['::1', '::', 'ff02::1'][n % 3]! : src;
  const ip = ip6({ src: from, dst, hopLimit: ttl, trafficClass: (n * 21) & 255, extensions });
  const bytes = wrong === 'icmp' ? packet(ether, ip, icmp6({}), payload) : packet(ether, ip, l4, payload);
  if (wrong === 'partial') leavePartial(bytes.subarray(54), bytes.subarray(22, 54), protocol);
  if (wrong === 'arp') bytes[13] = 6;
  if (wrong === 'version') bytes[14] = 0x45;
  if (wrong === 'length') bytes[18] = 2;
  if (wrong === 'short') {
    bytes[18] = 0;
    bytes[19] = n % 20;
  }
  if (wrong === 'truncated') return bytes.slice(0, (n * 5) % bytes.length || 1);
  if (wrong === 'padded') return Uint8Array.from([...bytes, ...new Uint8Array(n + 1).fill(0xee)]);
  return bytes;
}

/** Leaves the checksum to hardware, as local senders do: the field has the sum of the pseudo-header, not complemented. */
function leavePartial(l4: Uint8Array, addresses: Uint8Array, protocol: 'tcp' | 'udp'): void {
  const number = protocol === 'tcp' ? 6 : 17;
  const sum = ~checksum(Uint8Array.from([...addresses, 0, number, l4.length >> 8, l4.length & 255])) & 0xffff;
  const field = protocol === 'tcp' ? 16 : 6;
  l4[field] = sum >> 8;
  l4[field + 1] = sum & 255;
}
