/**
 * Key of a per-port VIP: its prefix's group (the index of the prefix's lb4-port DPO) in the low 32 bits, then the port in
 * wire order (16 bits), then the protocol (8 bits). Kernels make the same of a packet.
 */
export function portKey(group: number, protocol: number, port: number): bigint {
  const wirePort = ((port & 0xff) << 8) | (port >>> 8);
  return (BigInt(protocol) << 48n) | (BigInt(wirePort) << 32n) | BigInt(group);
}
