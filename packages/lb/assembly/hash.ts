/** The hashes of a packet, and its VIP by port: for packets one at a time. Runs of usual packets have their own, in choose.ts. */
import { hash8, search8 } from '@lbd/bihash/assembly/bihash8.ts';
import { META_L4, META_LENGTH, META_PROTOCOL } from '@lbd/graph/src/layout.ts';
import { flowHash4, flowHash6, flowHash6Sticky, flowKeyed } from '@lbd/maglev/assembly/flow-hash.ts';
import { IP4_SOURCE, IP6_SOURCE, PROTOCOL_TCP, PROTOCOL_UDP } from '@lbd/packet/src/layout.ts';
import {
  stickyHash4,
  stickyHash6,
  stickyHigh,
  stickyKey,
  stickyLow,
  stickySeed4,
  stickySeed6,
} from '@lbd/sticky/assembly/hash.ts';
import { LB_HASH, LB_PORTS, LB_SECRET, LB_VIPS, VIP_FLAGS, VIP_SHIFT, VIP_SRC_IP_STICKY } from '../src/layout.ts';
import { keyOfPort } from './port-key.ts';

/** True if the packet is TCP or UDP and has its ports. META_L4 and META_PROTOCOL must be right. */
// @ts-ignore: decorator
@inline export function hasPorts(meta: usize): bool {
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) return false;
  return <u32>load<u16>(meta, META_L4) + 4 <= <u32>load<u16>(meta, META_LENGTH);
}
/** Source and destination port as the first four bytes of the L4 header make them, loaded little-endian; 0 without ports. */
// @ts-ignore: decorator
@inline export function portsOf(ip: usize, meta: usize): u32 {
  return hasPorts(meta) ? load<u32>(ip + <usize>load<u16>(meta, META_L4)) : 0;
}
/** Address of a VIP's record. */
// @ts-ignore: decorator
@inline export function vipRecord(lb: usize, vip: u32): usize {
  return <usize>load<u32>(lb, LB_VIPS) + (<usize>vip << VIP_SHIFT);
}
// @ts-ignore: decorator
@inline export function isBySource(record: usize): bool {
  return (load<u32>(record, VIP_FLAGS) & VIP_SRC_IP_STICKY) != 0;
}

/** The VIP of a group that has a protocol and port (as loaded from the packet); 0 if there is none. */
export function vipOfPort(lb: usize, group: u32, protocol: u32, port: u32): u32 {
  const key = keyOfPort(group, protocol, port);
  const value = search8(load<u32>(lb, LB_PORTS), hash8(key), key);
  return value == <u64>-1 ? 0 : <u32>value;
}

// Two hashes. One chooses the server of a new flow, and is VPP's unless the configuration says otherwise: the flow hash. By the other the
// sticky table, and what else remembers flows, knows them: META_HASH.

/** The flow hash of the packet's own flow. `ip` of either family. */
export function flowHashOf(lb: usize, ip: usize, meta: usize, record: usize): u32 {
  const ports = portsOf(ip, meta);
  if (load<u8>(ip) >> 4 == 4) return flowHashOf4(lb, load<u64>(ip, IP4_SOURCE), ports, record);
  return flowHashOf6(lb, ip + IP6_SOURCE, ports, record);
}
/** `addresses`: the eight bytes of source and destination. */
export function flowHashOf4(lb: usize, addresses: u64, ports: u32, record: usize): u32 {
  const flow: usize = load<u32>(lb, LB_HASH);
  return flowHash4(flow, flowKeyed(flow), addresses, isBySource(record) ? 0 : ports);
}
/** `addresses`: where the 32 bytes of source and destination are. */
export function flowHashOf6(lb: usize, addresses: usize, ports: u32, record: usize): u32 {
  const flow: usize = load<u32>(lb, LB_HASH);
  const keyed = flowKeyed(flow);
  return isBySource(record) ? flowHash6Sticky(flow, keyed, addresses) : flowHash6(flow, keyed, addresses, ports);
}

/** The hash of the packet's own flow for the sticky table. */
export function stickyHashOf(lb: usize, ip: usize, meta: usize, record: usize): u32 {
  const ports = portsOf(ip, meta);
  if (load<u8>(ip) >> 4 == 4) return stickyHashOf4(lb, load<u64>(ip, IP4_SOURCE), ports, record);
  return stickyHashOf6(lb, ip + IP6_SOURCE, ports, record);
}
export function stickyHashOf4(lb: usize, addresses: u64, ports: u32, record: usize): u32 {
  const seed = stickySeed4(lb + LB_SECRET, <u32>(addresses >> 32));
  return stickyHash4(seed, stickyKey(lb + LB_SECRET), <u32>addresses, isBySource(record) ? 0 : ports);
}
export function stickyHashOf6(lb: usize, addresses: usize, ports: u32, record: usize): u32 {
  const secret = lb + LB_SECRET;
  const seed = stickySeed6(secret, addresses + 16);
  const hashed = isBySource(record) ? 0 : ports;
  return stickyHash6(seed, stickyKey(secret), stickyHigh(secret), stickyLow(secret), addresses, hashed);
}
