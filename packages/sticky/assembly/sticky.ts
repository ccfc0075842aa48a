/**
 * The sticky table, one packet at a time and inlined: touch every bucket of a vector, then find, hit or insert. Seconds
 * compare as signed words: they are below 2^31 (68 years of uptime).
 */
import {
  BUCKET_AS,
  BUCKET_EXPIRY,
  BUCKET_HASH,
  BUCKET_SHIFT,
  BUCKET_VIP,
  STICKY_HEADER,
  STICKY_MASK,
  STICKY_TIMEOUT,
} from '../src/layout.ts';

/** Address of the bucket of a flow hash. */
// @ts-ignore: decorator
@inline export function stickyBucket(table: usize, hash: u32): usize {
  return table + STICKY_HEADER + (<usize>(hash & load<u32>(table, STICKY_MASK)) << BUCKET_SHIFT);
}
/** Loads the bucket's cache line; add up what it returns and store it, so that no compiler drops the load. */
// @ts-ignore: decorator
@inline export function stickyTouch(table: usize, hash: u32): u32 {
  return load<u32>(stickyBucket(table, hash));
}
/** Place of the live entry of a flow, or -1. Flows are told apart by VIP and the whole 32-bit hash. */
// @ts-ignore: decorator
@inline export function stickyFind(bucket: usize, hash: u32, vip: u32, now: u32): i32 {
  const same = v128.and(
    i32x4.eq(v128.load(bucket, BUCKET_HASH), i32x4.splat(hash)),
    i32x4.eq(v128.load(bucket, BUCKET_VIP), i32x4.splat(vip)),
  );
  const live = i32x4.gt_s(v128.load(bucket, BUCKET_EXPIRY), i32x4.splat(now));
  const hit = i32x4.bitmask(v128.and(same, live));
  return hit == 0 ? -1 : <i32>ctz(hit);
}
/** The server of the entry at a place; the flow lives on. */
// @ts-ignore: decorator
@inline export function stickyHit(table: usize, bucket: usize, place: i32, now: u32): u32 {
  const entry = bucket + (<usize>place << 2);
  store<u32>(entry, now + load<u32>(table, STICKY_TIMEOUT), BUCKET_EXPIRY);
  return load<u32>(entry, BUCKET_AS);
}
/** Enters a new flow where an entry is over. False if all four live: then the flow is not tracked, nothing is evicted. */
// @ts-ignore: decorator
@inline export function stickyInsert(table: usize, bucket: usize, hash: u32, vip: u32, server: u32, now: u32): bool {
  const live = i32x4.bitmask(i32x4.gt_s(v128.load(bucket, BUCKET_EXPIRY), i32x4.splat(now)));
  if (live == 15) return false;
  const entry = bucket + (<usize>ctz(~live) << 2);
  store<u32>(entry, hash, BUCKET_HASH);
  store<u32>(entry, vip, BUCKET_VIP);
  store<u32>(entry, server, BUCKET_AS);
  store<u32>(entry, now + load<u32>(table, STICKY_TIMEOUT), BUCKET_EXPIRY);
  return true;
}
