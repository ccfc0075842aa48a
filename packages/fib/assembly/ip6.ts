/** What several nodes do with IPv6 headers. */

/** Not a multicast address, ::1 or :: (RFC 4291, sections 2.7, 2.5.3 and 2.5.2): none of them is a sender to answer. */
// @ts-ignore: decorator
@inline export function goodSource6(address: usize): bool {
  const high = load<u64>(address);
  return (high & 0xff) != 0xff && (high != 0 || (load<u64>(address, 8) & ~(<u64>1 << 56)) != 0);
}
