export { ethernetInput } from './ethernet-input';
export { fib4Lookup } from './fib4';
export { fib6Lookup } from './fib6';
export { ip4Input } from './ip4-input';
export { ip6Input } from './ip6-input';
export { ipLocal } from './ip-local';
export { l4Checksum4, l4Checksum6 } from './l4-checksum';
export { ip4Lookup, ip6Lookup, loadBalance } from './lookup';
export { ip4Rewrite, ip6Rewrite } from './rewrite';
