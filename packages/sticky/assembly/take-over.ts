/**
 * Flows on their way from one table to another of another size. Each is in one of both: its next packet brings it over, or else
 * whoever goes through the old table bit by bit, between packets.
 */
import { BUCKET_AS, BUCKET_BYTES, BUCKET_EXPIRY, BUCKET_HASH, BUCKET_VIP, STICKY_BYTES, STICKY_OLD } from '../src/layout.ts';
import { stickyFindHere, stickyFree, stickyInsert } from './sticky.ts';

/** The live entry of a flow that the table does not know but the one before it does; 0 if that does not, or there is none. */
export function stickyTakeOver(table: usize, hash: u32, vip: u32, now: u32): usize {
  const old: usize = load<u32>(table, STICKY_OLD);
  if (old == 0) return 0;
  const entry = stickyFindHere(old, hash, vip, now);
  return entry == 0 ? 0 : bringOver(entry, table, now);
}

/** Returns where the entry is then: still in the old table, if it finds its buckets full. */
function bringOver(entry: usize, table: usize, now: u32): usize {
  const hash = load<u32>(entry, BUCKET_HASH);
  const free = stickyFree(table, hash, now);
  if (free == 0) return entry;
  // the words as they are, with the state in them
  stickyInsert(free, hash, load<u32>(entry, BUCKET_VIP), load<u32>(entry, BUCKET_AS), load<u32>(entry, BUCKET_EXPIRY));
  store<u32>(entry, 0, BUCKET_EXPIRY);
  return free;
}

/** Brings over what some buckets of the old table, those from place `from` to before `end`, still have. Returns how many found no room. */
export function take_over(table: usize, from: u32, end: u32, now: u32): u32 {
  const buckets: usize = <usize>load<u32>(table, STICKY_OLD) + STICKY_BYTES;
  const last = buckets + <usize>end * BUCKET_BYTES;
  let lost: u32 = 0;
  for (let bucket = buckets + <usize>from * BUCKET_BYTES; bucket < last; bucket += BUCKET_BYTES) {
    for (let entry = bucket; entry < bucket + 16; entry += 4) {
      if (load<i32>(entry, BUCKET_EXPIRY) > <i32>now && bringOver(entry, table, now) == entry) lost++;
    }
  }
  return lost;
}
