/** What the runs of both families have in common. */
import { featureBit, workerOf } from '@lbd/graph/assembly/abi.ts';
import { INTERFACE_MAC, INTERFACE_SHIFT, MAX_STANDS_FOR, WORKER_INTERFACES } from '@lbd/graph/src/layout.ts';
import { MODEL_ETHERNET, MODEL_ETHERNET_MASK } from '../src/express-layout.ts';

/** EtherTypes as loaded, little-endian; behind that of IPv6 the version, and which bits of the word that is. */
// @ts-ignore: decorator
@inline export const TYPE_IP4: u32 = 0x0008;
// @ts-ignore: decorator
@inline export const TYPE_IP6: u32 = 0xdd86;
// @ts-ignore: decorator
@inline export const VERSION6: u32 = 0x600000;
// @ts-ignore: decorator
@inline export const VERSION6_MASK: u32 = 0xf00000;

/** True if an interface has features, of featuresOf(), that the node does not stand for. */
export function hasOthers(node: usize, features: u32): bool {
  let own: u32 = 0;
  for (let place: usize = 0; place < <usize>MAX_STANDS_FOR; place++) own |= featureBit(node, place);
  return (features & ~own) != 0;
}

/** The six bytes of a MAC address in the eight that are loaded. */
const MAC: u64 = 0xffffffffffff;
/** The bit of it that a group's address has set. */
const GROUP: u64 = 1;

/**
 * The first 16 bytes of a frame as they must be: for the interface, and what the last four are, of which `mask` counts. An
 * interface without a MAC address (a capture file) takes all that are not for a group.
 */
export function modelEthernet(node: usize, model: usize, rx: u32, last: u32, mask: u32): void {
  const interfaces: usize = load<u32>(workerOf(node), WORKER_INTERFACES);
  const mac = load<u64>(interfaces + (<usize>rx << INTERFACE_SHIFT), INTERFACE_MAC) & MAC;
  store<u64>(model, mac, MODEL_ETHERNET);
  store<u64>(model, <u64>last << 32, MODEL_ETHERNET + 8);
  store<u64>(model, mac == 0 ? GROUP : MAC, MODEL_ETHERNET_MASK);
  store<u64>(model, <u64>mask << 32, MODEL_ETHERNET_MASK + 8);
}
