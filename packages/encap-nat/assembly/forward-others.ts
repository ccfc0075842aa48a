/** What comes to a VIP of NAT beside packets with ports: later fragments, and ICMP errors about what its servers sent. */
import { META_AS } from '@lbd/graph/src/layout.ts';
import { fragmentsServer } from '@lbd/lb/assembly/fragments.ts';
import { clientPorts, quotationOf, quotedHasPorts, quotedIp, quotedProtocol } from '@lbd/lb/assembly/icmp.ts';
import { AS_PORT, AS_SHIFT } from '@lbd/lb/src/layout.ts';
import { KEY_FORWARD, NAT_TABLE, SESSION_AS } from '../src/layout.ts';
import { NONE, hashKey, keyTail, searchKey } from './keys.ts';
import { destinationAt, readdress, readdressError, requote, sourceAt } from './quote.ts';
import { addressOfServer, sessionAt } from './session.ts';
import { same16 } from './translate.ts';

/**
 * Sends a later fragment to the server that the first of its datagram went to, else to the one that the choosing node says (META_AS):
 * only its address changes. META_OPAQUE may say a session, but where source addresses alone choose it may be another flow's
 * of the same client.
 */
export function readdressFragment(six: bool, lb: usize, servers: usize, meta: usize, ip: usize, now: u32): void {
  const server = fragmentsServer(lb, ip, meta, now);
  if (server != 0) store<u32>(meta, server, META_AS);
  readdress(six, ip, destinationAt(six), addressOfServer(six, servers, load<u32>(meta, META_AS)));
}

// @ts-ignore: decorator
@inline export function sameAddress(six: bool, a: usize, b: usize): bool {
  return six ? same16(a, b) : load<u32>(a) == load<u32>(b);
}

/**
 * Translates an ICMP error to the VIP about what a server sent (RFC 5508, section 4.2): what it quotes is again what the server
 * sent, and it goes to that server: the session's, else META_AS. The session lives no longer for it (REQ-6).
 * @returns false if there is nothing to translate
 */
export function translateError(six: bool, nat: usize, servers: usize, meta: usize, ip: usize): bool {
  const quotation = quotationOf(ip, meta);
  if (!quotedHasPorts(quotation)) return false;
  const quoted = ip + quotedIp(quotation);
  const client = quoted + destinationAt(six);
  const vip = quoted + sourceAt(six);
  const tail = keyTail(clientPorts(ip, quotation), quotedProtocol(quotation), KEY_FORWARD);
  const index = searchKey(six, load<u32>(nat, NAT_TABLE), hashKey(six, client, vip, tail), client, vip, tail);
  if (index != NONE) store<u32>(meta, load<u32>(sessionAt(nat, <usize>index), SESSION_AS), META_AS);
  const server = load<u32>(meta, META_AS);
  if (server == 0) return true; // no session, and no server
  const address = addressOfServer(six, servers, server);
  requote(six, ip, meta, quotation, true, address, load<u16>(servers + (<usize>server << AS_SHIFT), AS_PORT));
  readdressError(six, ip, meta, destinationAt(six), address);
  return true;
}
