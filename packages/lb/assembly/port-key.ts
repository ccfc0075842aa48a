/** Key of a per-port VIP in LB_PORTS, as portKey of src/port-key.ts makes it. `port` as it was loaded from the packet. */
// @ts-ignore: decorator
@inline export function keyOfPort(group: u32, protocol: u32, port: u32): u64 {
  return <u64>group | (<u64>port << 32) | (<u64>protocol << 48);
}
