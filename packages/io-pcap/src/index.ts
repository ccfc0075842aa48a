export type { PcapDetails } from './control.ts';
export { type PcapOptions, pcapOptionsSchema } from './options.ts';
export { type PcapWorker, pcap } from './pcap-driver.ts';
export { PcapError, type PcapErrorCode } from './pcap-error.ts';
export { type PcapPacket, PcapReader } from './reader.ts';
export { PcapWriter } from './writer.ts';
