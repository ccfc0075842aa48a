import { addressesOf, type Flow, portsOf } from './flow.ts';

const POLYNOMIAL = 0x82f63b78; // of Castagnoli, bits reversed (RFC 3720, appendix B.4)

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  return crc;
});

/** CRC-32C as the processor's instruction computes it: initial value 0, no final xor. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return crc >>> 0;
}

/** VPP's flow hash of an IPv4 or IPv6 flow, in plain TypeScript. */
export function crcFlowHash(flow: Flow): number {
  const addresses = addressesOf(flow);
  const ip4 = addresses.length === 8;
  // Five words: addresses, ports, zeros. An IPv6 flow of a src_ip_sticky VIP has four: its ports are left out.
  const words = new Uint8Array(!ip4 && flow.sticky ? 32 : 40);
  words.set(addresses);
  const ports = portsOf(flow);
  if (ports) new DataView(words.buffer).setUint32(addresses.length, ((ports << 16) | (ports >>> 16)) >>> 0, true);
  return crc32c(words);
}

/** {@link crcFlowHash} of an IPv4 flow by its parts; addresses are 4 bytes in wire order, ports numbers. */
export function flowHash4(
  source: Uint8Array,
  destination: Uint8Array,
  sourcePort?: number,
  destinationPort?: number,
): number {
  return crcFlowHash(flowOf(source, destination, sourcePort, destinationPort));
}

/** {@link crcFlowHash} of an IPv6 flow by its parts; addresses are 16 bytes in wire order, ports numbers. */
export function flowHash6(
  source: Uint8Array,
  destination: Uint8Array,
  sourcePort?: number,
  destinationPort?: number,
): number {
  return crcFlowHash(flowOf(source, destination, sourcePort, destinationPort));
}

function flowOf(source: Uint8Array, destination: Uint8Array, sourcePort?: number, destinationPort?: number): Flow {
  if (sourcePort === undefined || destinationPort === undefined) return { source, destination };
  return { source, destination, ports: { source: sourcePort, destination: destinationPort } };
}
