export type PcapErrorCode =
  /** Not a classic pcap file. */
  | 'LBD_PCAP_FORMAT'
  /** The file ends within its header or within a packet. */
  | 'LBD_PCAP_TRUNCATED'
  /** A length in the file is impossible. */
  | 'LBD_PCAP_CORRUPT'
  /** Not Ethernet. */
  | 'LBD_PCAP_LINKTYPE';

/** A capture file that cannot be read; the message names the file, the packet and what would be right. */
export class PcapError extends Error {
  readonly code: PcapErrorCode;
  constructor(code: PcapErrorCode, message: string) {
    super(message);
    this.name = 'PcapError';
    this.code = code;
  }
}
