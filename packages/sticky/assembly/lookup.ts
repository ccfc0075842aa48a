import { COUNT_EXISTING, COUNT_FIRST, COUNT_NO_SERVER, COUNT_UNTRACKED } from '../src/layout.ts';
import {
  stickyAs,
  stickyBucketAt,
  stickyFind,
  stickyFree,
  stickyInsert,
  stickyMask,
  stickyRefresh,
  stickyTimeout,
  stickyTouch,
} from './sticky.ts';

/**
 * The application servers of `count` packets, in order. `hashes`, `vips`, `newflow` (what the new-flow table says for
 * each) and `out` are addresses of u32; `newflow` may be `out`. `counters` is the address of the four u64 of layout.ts.
 */
export function lookup_vector(
  table: usize, hashes: usize, vips: usize, newflow: usize, out: usize, count: i32, now: u32, counters: usize,
): void {
  const mask = stickyMask(table);
  const expiry = now + stickyTimeout(table);
  const end = <usize>count << 2;
  for (let i: usize = 0; i < end; i += 4) {
    const hash = load<u32>(hashes + i);
    stickyTouch(stickyBucketAt(table, mask, hash), mask, hash);
  }
  let existing: u32 = 0;
  let first: u32 = 0;
  let untracked: u32 = 0;
  let none: u32 = 0;
  for (let i: usize = 0; i < end; i += 4) {
    const hash = load<u32>(hashes + i);
    const vip = load<u32>(vips + i);
    let entry = stickyFind(table, hash, vip, now);
    let as: u32;
    if (entry != 0) {
      as = stickyAs(entry);
      stickyRefresh(entry, expiry);
      existing++;
    } else {
      as = load<u32>(newflow + i);
      if (!as) none++;
      else {
        entry = stickyFree(table, hash, now);
        if (entry != 0) {
          stickyInsert(entry, hash, vip, as, expiry);
          first++;
        } else untracked++;
      }
    }
    store<u32>(out + i, as);
  }
  add(counters, COUNT_EXISTING, existing);
  add(counters, COUNT_FIRST, first);
  add(counters, COUNT_UNTRACKED, untracked);
  add(counters, COUNT_NO_SERVER, none);
}
// @ts-ignore: decorator
@inline function add(counters: usize, which: usize, n: u32): void {
  const at = counters + (which << 3);
  store<u64>(at, load<u64>(at) + n);
}
