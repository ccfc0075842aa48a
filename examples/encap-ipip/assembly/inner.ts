/** What both encaps take from the packet inside. */
import { innerTos } from '@lbd/lb/assembly/encap.ts';
import { PROTOCOL_IP4, PROTOCOL_IP6 } from '@lbd/packet/src/layout.ts';

/** The protocol number that says which version of IP is inside: 4 (RFC 2003) or 41 (RFC 4213, RFC 2473). */
// @ts-ignore: decorator
@inline export function protocolOf(inner: usize): u32 {
  return load<u8>(inner) >> 4 == 6 ? PROTOCOL_IP6 : PROTOCOL_IP4;
}
/** DSCP and ECN go outside as they are inside (RFC 2983, uniform model; RFC 6040, normal mode). */
// @ts-ignore: decorator
@inline export function tosOf(inner: usize): u32 {
  return innerTos(inner) & 0xff;
}
