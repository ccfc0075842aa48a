import { flowHash4, flowHash6, flowHash6Sticky, flowKeyed } from './flow-hash.ts';

// The hashes with all arguments in memory, for TypeScript. `addresses` and `ports` as the headers have them.
export function hash4(flow: usize, addresses: usize, ports: u32): u32 {
  return flowHash4(flow, flowKeyed(flow), load<u64>(addresses), ports);
}
export function hash6(flow: usize, addresses: usize, ports: u32): u32 {
  return flowHash6(flow, flowKeyed(flow), addresses, ports);
}
export function hash6_sticky(flow: usize, addresses: usize): u32 {
  return flowHash6Sticky(flow, flowKeyed(flow), addresses);
}
