/**
 * What a worker does to the sessions of a few flows of one client to one VIP, for the test with threads: it finds or makes a
 * flow's session as the packets' node does, and ends some, lets some run out, and closes some. (IPv4.)
 */
import { PROTOCOL_TCP } from '@lbd/packet/src/layout.ts';
import { KEY_FORWARD, NAT_TABLE, SEEN_RST, SESSION_CLIENT_PORT, SESSION_EXPIRY, SESSION_SEEN } from '../../src/layout.ts';
import { NONE, hashKey, keyTail, searchKey } from '../../assembly/keys.ts';
import { CONFLICT, make, nat_end, sessionAt } from '../../assembly/session.ts';

/** Address of where the counts are: flows refused for a port in use; sessions that became another's in use; sessions. */
const CONFLICTS: usize = 0;
const CHANGED: usize = 4;
const SESSIONS: usize = 8;

export function race(
  nat: usize,
  client: usize,
  vip: usize,
  flows: u32,
  newFlow: usize,
  epoch: usize,
  seed: u32,
  steps: u32,
  now: u32,
  counts: usize,
): void {
  let state = seed | 1;
  for (; steps != 0; steps--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    step(nat, client, vip, 1024 + ((state >>> 4) % flows), newFlow, (state >>> 24) & 15, now, counts);
    // a quiescent point
    atomic.add<u32>(epoch, 2);
  }
}

function step(nat: usize, client: usize, vip: usize, ports: u32, newFlow: usize, what: u32, now: u32, counts: usize): void {
  const tail = keyTail(ports, PROTOCOL_TCP, KEY_FORWARD);
  const found = searchKey(false, load<u32>(nat, NAT_TABLE), hashKey(false, client, vip, tail), client, vip, tail);
  let index: i32 = found == NONE ? 0 : <i32>found;
  if (index == 0) index = make(nat, client, vip, ports, PROTOCOL_TCP, ports, load<u32>(newFlow), newFlow, 0, now);
  if (index == CONFLICT) store<u32>(counts, load<u32>(counts, CONFLICTS) + 1, CONFLICTS);
  if (index <= 0) return;
  const session = sessionAt(nat, index);
  store<u32>(counts, load<u32>(counts, SESSIONS) + 1, SESSIONS);
  for (let looks = 0; looks < 20; looks++) {
    if (load<u32>(session, SESSION_CLIENT_PORT) == ports) continue;
    store<u32>(counts, load<u32>(counts, CHANGED) + 1, CHANGED);
    return;
  }
  if (what == 0) nat_end(nat, index);
  else if (what == 1) atomic.or<u8>(session, SEEN_RST, SESSION_SEEN);
  else store<u32>(session, what == 2 ? now : now + 100, SESSION_EXPIRY);
}

export { nat_free, nat_sweep } from '../../assembly/session';
