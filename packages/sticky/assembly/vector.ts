/** The table for a whole vector, for those who use it alone. */
import { stickyBucket, stickyFind, stickyHit, stickyInsert, stickyTouch } from './sticky.ts';

/**
 * Chooses for `count` flows: the server that the table has, else the one proposed, which is entered.
 * @param hashes address of u32 flow hashes
 * @param vips address of u32 VIPs
 * @param servers address of u32: in, the proposed server (0: none, takes no entry); out, the chosen one
 * @param counters address of u64[4] to add to: existing, first, untracked, no server
 * @param scratch address of a u32
 */
export function sticky_vector(
  table: usize,
  hashes: usize,
  vips: usize,
  servers: usize,
  count: i32,
  now: u32,
  counters: usize,
  scratch: usize,
): void {
  let touched: u32 = 0;
  for (let i = 0; i < count; i++) touched += stickyTouch(table, load<u32>(hashes + (<usize>i << 2)));
  store<u32>(scratch, touched);
  for (let i = 0; i < count; i++) {
    const at = <usize>i << 2;
    const hash = load<u32>(hashes + at);
    const vip = load<u32>(vips + at);
    const bucket = stickyBucket(table, hash);
    const place = stickyFind(bucket, hash, vip, now);
    let kind: usize = 0;
    if (place >= 0) {
      store<u32>(servers + at, stickyHit(table, bucket, place, now));
    } else {
      const server = load<u32>(servers + at);
      if (server == 0) kind = 3;
      else kind = stickyInsert(table, bucket, hash, vip, server, now) ? 1 : 2;
    }
    store<u64>(counters + (kind << 3), load<u64>(counters + (kind << 3)) + 1);
  }
}
