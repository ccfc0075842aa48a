/** What the control plane does with whole tables. */
import { AS_MASK, BUCKET_AS, BUCKET_BYTES, BUCKET_EXPIRY, BUCKET_HASH, BUCKET_VIP, STICKY_BYTES, VIP_MASK } from '../src/layout.ts';
import { stickyFind, stickyFindHere, stickyFree, stickyInsert, stickyMask, stickySetState, stickyState } from './sticky.ts';

/** Matches every application server, or every VIP. */
// @ts-ignore: decorator
@inline const ANY: u32 = 0xffffffff;

// @ts-ignore: decorator
@inline function firstBucket(table: usize): usize {
  return table + STICKY_BYTES;
}
// @ts-ignore: decorator
@inline function endOf(table: usize): usize {
  return table + STICKY_BYTES + (<usize>stickyMask(table) + 1) * BUCKET_BYTES;
}

/** Number of live entries. */
export function count_live(table: usize, now: u32): u32 {
  const end = endOf(table);
  let sum = i32x4.splat(0);
  const time = i32x4.splat(now);
  for (let bucket = firstBucket(table); bucket < end; bucket += BUCKET_BYTES) {
    sum = i32x4.sub(sum, i32x4.gt_s(v128.load(bucket, BUCKET_EXPIRY), time));
  }
  return (
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3)
  );
}

/** Adds to `counts` (address of `length` u32) the live entries by application server; those of `length` and up are left out. */
export function count_by_as(table: usize, now: u32, counts: usize, length: u32): void {
  count_by(table, now, counts, length, BUCKET_AS, AS_MASK);
}
/** The same, by VIP. */
export function count_by_vip(table: usize, now: u32, counts: usize, length: u32): void {
  count_by(table, now, counts, length, BUCKET_VIP, VIP_MASK);
}
// @ts-ignore: decorator
@inline function count_by(table: usize, now: u32, counts: usize, length: u32, field: usize, mask: u32): void {
  const end = endOf(table);
  for (let bucket = firstBucket(table); bucket < end; bucket += BUCKET_BYTES) {
    for (let entry = bucket; entry < bucket + 16; entry += 4) {
      if (load<i32>(entry, BUCKET_EXPIRY) <= <i32>now) continue;
      const index = load<u32>(entry + field) & mask;
      if (index >= length) continue;
      const at = counts + (<usize>index << 2);
      store<u32>(at, load<u32>(at) + 1);
    }
  }
}

/** Number of live entries of an application server and a VIP; 2^32 - 1 is any. Reads only. */
export function count_matching(table: usize, as: u32, vip: u32, now: u32): u32 {
  return matching(table, as, vip, now, false);
}
/** Ends the same entries. Returns how many. */
export function flush(table: usize, as: u32, vip: u32, now: u32): u32 {
  return matching(table, as, vip, now, true);
}
// @ts-ignore: decorator
@inline function matching(table: usize, as: u32, vip: u32, now: u32, end: bool): u32 {
  const last = endOf(table);
  const anyAs = i32x4.splat(as == ANY ? -1 : 0);
  const anyVip = i32x4.splat(vip == ANY ? -1 : 0);
  let sum: u32 = 0;
  for (let bucket = firstBucket(table); bucket < last; bucket += BUCKET_BYTES) {
    const expiry = v128.load(bucket, BUCKET_EXPIRY);
    const byAs = v128.or(i32x4.eq(v128.and(v128.load(bucket, BUCKET_AS), i32x4.splat(AS_MASK)), i32x4.splat(as)), anyAs);
    const byVip = v128.or(i32x4.eq(v128.and(v128.load(bucket, BUCKET_VIP), i32x4.splat(VIP_MASK)), i32x4.splat(vip)), anyVip);
    const hit = v128.and(v128.and(byAs, byVip), i32x4.gt_s(expiry, i32x4.splat(now)));
    const bits = i32x4.bitmask(hit);
    if (!bits) continue;
    sum += popcnt(bits);
    if (end) v128.store(bucket, v128.andnot(expiry, hit), BUCKET_EXPIRY);
  }
  return sum;
}

/** Copies the live entries of one table to another that does not have them. Returns how many found both buckets full. */
export function copy(from: usize, to: usize, now: u32): u32 {
  const end = endOf(from);
  let lost: u32 = 0;
  for (let bucket = firstBucket(from); bucket < end; bucket += BUCKET_BYTES) {
    for (let entry = bucket; entry < bucket + 16; entry += 4) {
      const expiry = load<u32>(entry, BUCKET_EXPIRY);
      if (<i32>expiry <= <i32>now) continue;
      const hash = load<u32>(entry, BUCKET_HASH);
      const target = stickyFree(to, hash, now);
      if (target == 0) lost++;
      // the words as they are, with the state in them
      else stickyInsert(target, hash, load<u32>(entry, BUCKET_VIP), load<u32>(entry, BUCKET_AS), expiry);
    }
  }
  return lost;
}

/** The state of a flow; 0 if it is not live. */
export function state_of(table: usize, hash: u32, vip: u32, now: u32): u32 {
  const entry = stickyFindHere(table, hash, vip, now);
  return entry == 0 ? 0 : stickyState(entry);
}
/** Sets it. False if the flow is not live. */
export function set_state(table: usize, hash: u32, vip: u32, now: u32, state: u32): bool {
  const entry = stickyFind(table, hash, vip, now);
  if (entry != 0) stickySetState(entry, state);
  return entry != 0;
}
