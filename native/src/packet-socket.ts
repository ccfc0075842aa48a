import { addon } from './addon.ts';
import { close } from './poll.ts';
import { attachFilter, setOption, setReceiveBuffer } from './socket-options.ts';
import { check, NEEDS_NET_RAW } from './system-error.ts';

const SOL_PACKET = 263;
const PACKET_AUXDATA = 8;
const PACKET_VNET_HDR = 15;
const PACKET_FANOUT = 18;
const PACKET_QDISC_BYPASS = 20;
const PACKET_IGNORE_OUTGOING = 23;
const ETH_P_ALL = 3;

/** Packets in one call, at most. */
export const PACKET_BATCH = 256;

// A received packet is described by PACKET_INFO_WORDS words (u32), at these places.
export const PACKET_INFO_WORDS = 8;
/** Bytes written. */
export const PACKET_INFO_LENGTH = 0;
/** Bytes that the packet had: more than were written if it did not fit. */
export const PACKET_INFO_WIRE_LENGTH = 1;
/** TP_STATUS_ bits. */
export const PACKET_INFO_STATUS = 2;
/** VLAN tag that the kernel took off the packet, if the status says so: tag control information | protocol << 16. */
export const PACKET_INFO_VLAN = 3;
/** PACKET_HOST 0, PACKET_BROADCAST 1, PACKET_MULTICAST 2, PACKET_OTHERHOST 3, PACKET_OUTGOING 4. */
export const PACKET_INFO_TYPE = 4;
/** With offloads: flags | GSO type << 8 | header bytes << 16, of struct virtio_net_hdr. */
export const PACKET_INFO_OFFLOAD = 5;
/** With offloads: GSO size | where the checksum starts << 16. */
export const PACKET_INFO_SEGMENT = 6;
/** With offloads: where the checksum is, from where it starts. */
export const PACKET_INFO_CHECKSUM = 7;

/** Status: the L4 checksum is partial, the pseudo-header's sum only. */
export const TP_STATUS_CSUMNOTREADY = 8;
/** Status: there was a VLAN tag, see PACKET_INFO_VLAN. */
export const TP_STATUS_VLAN_VALID = 16;
/** Status: the kernel verified the L4 checksum. */
export const TP_STATUS_CSUM_VALID = 128;
/** virtio_net_hdr flag: the checksum from the start on must be completed. */
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
/** virtio_net_hdr GSO types. */
export const VIRTIO_NET_HDR_GSO = { none: 0, tcp4: 1, udp: 3, tcp6: 4, udpL4: 5, ecn: 0x80 } as const;

/** Words that say the offloads of a packet to send: those of PACKET_INFO_OFFLOAD and the two after it. */
export const PACKET_OFFLOAD_WORDS = 3;

export interface PacketSocketOptions {
  /** A socket that another thread opened, with the same `offloads`: used as it is, the options below do nothing. */
  readonly fd?: number;
  /** Name of the interface, for messages. */
  readonly name: string;
  readonly ifindex: number;
  /** Classic BPF filter; see attachFilter. Attached before the first packet. */
  readonly filter?: Uint8Array;
  /** Receive buffer in bytes. */
  readonly receiveBuffer?: number;
  /** Tell of checksum and segmentation offloads of each packet (PACKET_VNET_HDR), and be told for those sent. */
  readonly offloads?: boolean;
  /** Don't receive what this host sends. True unless told. */
  readonly ignoreOutgoing?: boolean;
  /** Send past the queueing discipline. */
  readonly bypassQueue?: boolean;
  /** Share the packets with other sockets: the id of their group | mode << 16 (PACKET_FANOUT). */
  readonly fanout?: number;
}

/** An AF_PACKET socket bound to an interface. Receives and sends vectors; never blocks; not promiscuous. */
export class PacketSocket {
  readonly fd: number;
  readonly #name: string;
  readonly #offloads: boolean;

  constructor(options: PacketSocketOptions) {
    this.#name = options.name;
    this.#offloads = options.offloads ?? false;
    if (options.fd !== undefined) {
      this.fd = options.fd;
      return;
    }
    this.fd = check(addon().packetOpen(), 'socket(AF_PACKET)', options.name, { EPERM: NEEDS_NET_RAW });
    try {
      this.#set(options);
    } catch (error) {
      close(this.fd);
      throw error;
    }
  }

  #set({ ifindex, filter, receiveBuffer, ignoreOutgoing = true, bypassQueue, fanout }: PacketSocketOptions): void {
    const set = (option: number, value: number) => setOption(this.fd, SOL_PACKET, option, value);
    set(PACKET_AUXDATA, 1);
    if (this.#offloads) set(PACKET_VNET_HDR, 1);
    if (ignoreOutgoing) set(PACKET_IGNORE_OUTGOING, 1);
    if (bypassQueue) set(PACKET_QDISC_BYPASS, 1);
    if (filter) attachFilter(this.fd, filter);
    if (receiveBuffer !== undefined) setReceiveBuffer(this.fd, receiveBuffer);
    check(addon().packetBind(this.fd, ifindex, ETH_P_ALL), 'bind(AF_PACKET)', this.#name, {
      ENODEV: 'there is no such interface in this network namespace',
      ENETDOWN: 'the interface is down (ip link set ... up)',
    });
    if (fanout !== undefined) set(PACKET_FANOUT, fanout);
  }

  /**
   * Receives up to `count` packets (and at most PACKET_BATCH) into `memory`: packet i at `addresses[i]`, up to `capacity`
   * bytes of it, described by PACKET_INFO_WORDS words of `info`.
   * @returns how many came; 0 if there are none
   */
  receive(memory: Uint8Array, addresses: Uint32Array, count: number, capacity: number, info: Uint32Array): number {
    const returned = addon().packetReceive(this.fd, memory, addresses, count, capacity, info, this.#offloads);
    return check(returned, 'recvmmsg', this.#name, {
      ENETDOWN: 'the interface is down',
      EFAULT: 'an address is outside the memory',
    });
  }

  /**
   * Sends `count` packets (at most PACKET_BATCH) of `memory`, from place `first` of `addresses` and `lengths` on.
   * @param offloads PACKET_OFFLOAD_WORDS words for each place, if the socket was opened with `offloads`; none: nothing to do for the kernel
   * @returns how many were sent, or minus errno of the first (-EAGAIN -11 and -ENOBUFS -105: no room now; -EMSGSIZE -90: too big)
   */
  send(
    memory: Uint8Array,
    addresses: Uint32Array,
    lengths: Uint32Array,
    first: number,
    count: number,
    offloads: Uint32Array | null = null,
  ): number {
    const words = this.#offloads ? (offloads ?? new Uint32Array((first + count) * PACKET_OFFLOAD_WORDS)) : null;
    return addon().packetSend(this.fd, memory, addresses, lengths, first, count, words);
  }

  /** Packets that passed the filter, and those that found the receive buffer full; since the last call. */
  statistics(): { packets: number; drops: number } {
    const out = new Uint32Array(2);
    check(addon().packetStatistics(this.fd, out), 'getsockopt(PACKET_STATISTICS)', this.#name);
    return { packets: out[0]!, drops: out[1]! };
  }

  close(): void {
    close(this.fd);
  }
}
