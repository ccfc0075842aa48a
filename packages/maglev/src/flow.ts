import { MaglevError } from './errors.ts';

/** TCP or UDP ports, as numbers. */
export interface FlowPorts {
  readonly source: number;
  readonly destination: number;
}

/**
 * What is hashed of a flow. Addresses in wire order, 4 bytes each or 16 each. Without `ports`: a protocol other than TCP and
 * UDP, or a later fragment. `sticky`: the VIP has src_ip_sticky, and the ports do not count.
 */
export interface Flow {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly ports?: FlowPorts;
  readonly sticky?: boolean;
}

/** Source and destination address, 8 bytes or 32, as they follow each other in the header. */
export function addressesOf(flow: Flow): Uint8Array {
  const { source, destination } = flow;
  if (source.length !== destination.length || (source.length !== 4 && source.length !== 16)) {
    throw new MaglevError(
      'LBD_MAGLEV_ADDRESS',
      `addresses of ${source.length} and ${destination.length} bytes: must be both 4 or both 16`,
    );
  }
  const bytes = new Uint8Array(source.length * 2);
  bytes.set(source);
  bytes.set(destination, source.length);
  return bytes;
}

/** The first four bytes of the TCP or UDP header, loaded little-endian; 0 if ports do not count. */
export function portsOf(flow: Flow): number {
  if (flow.sticky || !flow.ports) return 0;
  const { source, destination } = flow.ports;
  return (swap(source) | (swap(destination) << 16)) >>> 0;
}

const swap = (port: number) => ((port & 0xff) << 8) | ((port >> 8) & 0xff);
