/**
 * The sticky table, for kernels of other packages, packet by packet. Only the worker that owns the table may write to it:
 * nothing here is atomic. The way of a packet:
 *
 *     let entry = stickyFind(table, hash, vip, now);
 *     if (entry) { as = stickyAs(entry); stickyRefresh(entry, expiry); }
 *     else if (as) { entry = stickyFree(table, hash, now); if (entry) stickyInsert(entry, hash, vip, as, expiry); }
 *
 * with `expiry = now + stickyTimeout(table)`. A flow's own bucket is the low bits of its hash; one that finds it full goes to the
 * other bucket, half a table away. All of the hash is compared. Loops over many packets look in the own buckets alone
 * (stickyBucketAt, stickyHits), and ask stickyFind() for the few that are not there.
 */
import {
  AS_MASK,
  BUCKET_AS,
  BUCKET_EXPIRY,
  BUCKET_HASH,
  BUCKET_SHIFT,
  BUCKET_VIP,
  STICKY_BYTES,
  STICKY_MASK,
  STICKY_TIMEOUT,
} from '../src/layout.ts';
import { stickyTakeOver } from './take-over.ts';

/** What of the word of a VIP is not the VIP: so far it is shifted to lose it. */
// @ts-ignore: decorator
@inline const VIP_SHIFT_OUT = 16;

/** Number of buckets - 1. Load once per vector. */
// @ts-ignore: decorator
@inline export function stickyMask(table: usize): u32 {
  return load<u32>(table, STICKY_MASK);
}
/** Seconds that an entry lives after its last packet. Load once per vector. */
// @ts-ignore: decorator
@inline export function stickyTimeout(table: usize): u32 {
  return load<u32>(table, STICKY_TIMEOUT);
}
/** The own bucket of a flow. `mask`: stickyMask(), loaded once. */
// @ts-ignore: decorator
@inline export function stickyBucketAt(table: usize, mask: u32, hash: u32): usize {
  return table + STICKY_BYTES + ((<usize>(hash & mask)) << BUCKET_SHIFT);
}
/** The bucket for those that find this one full. */
// @ts-ignore: decorator
@inline function otherBucket(table: usize, mask: u32, bucket: usize): usize {
  const buckets = table + STICKY_BYTES;
  return buckets + ((bucket - buckets) ^ (<usize>((mask + 1) >>> 1) << BUCKET_SHIFT));
}
/** True if the low bytes of all hashes in a bucket are that of its index; smaller tables are in the cache anyway. */
// @ts-ignore: decorator
@inline function canTouch(mask: u32): bool {
  return mask >= 511;
}
/**
 * Brings the bucket's line near, for the loop before the one that uses it, by a store, which holds up nothing that follows
 * (WebAssembly has no prefetch). It changes nothing: see canTouch().
 */
// @ts-ignore: decorator
@inline export function stickyTouch(bucket: usize, mask: u32, hash: u32): void {
  if (canTouch(mask)) store<u8>(bucket, <u8>hash, BUCKET_HASH);
}
/** Where to touch buckets in loops without that question: bucket 0, if they can be touched; else `spare`, with stickyTouchMask(). */
// @ts-ignore: decorator
@inline export function stickyTouchBase(table: usize, mask: u32, spare: usize): usize {
  return canTouch(mask) ? stickyBucketAt(table, 0, 0) : spare;
}
// @ts-ignore: decorator
@inline export function stickyTouchMask(mask: u32): u32 {
  return canTouch(mask) ? mask : 0;
}
/** Touches four buckets. `base` and `masks`: stickyTouchBase() and stickyTouchMask() in all four lanes. */
// @ts-ignore: decorator
@inline export function stickyTouch4(base: v128, masks: v128, hashes: v128): void {
  const buckets = i32x4.add(i32x4.shl(v128.and(hashes, masks), BUCKET_SHIFT), base);
  v128.store8_lane(<usize>i32x4.extract_lane(buckets, 0), hashes, 0, BUCKET_HASH);
  v128.store8_lane(<usize>i32x4.extract_lane(buckets, 1), hashes, 4, BUCKET_HASH);
  v128.store8_lane(<usize>i32x4.extract_lane(buckets, 2), hashes, 8, BUCKET_HASH);
  v128.store8_lane(<usize>i32x4.extract_lane(buckets, 3), hashes, 12, BUCKET_HASH);
}
/**
 * stickyTouch() for `count` hashes (u32 each at `hashes`), and up to three words behind them, which may be anything. In a
 * loop that does nothing else: a line that is on its way holds up the stores behind its own, and loads beside it, so
 * of many lines the more are under way the less stands between.
 */
export function stickyTouchAll(table: usize, hashes: usize, count: i32): void {
  const mask = stickyMask(table);
  if (!canTouch(mask)) return;
  for (const end = hashes + (<usize>count << 2); hashes < end; hashes += 16) {
    const a = load<u32>(hashes);
    const b = load<u32>(hashes, 4);
    const c = load<u32>(hashes, 8);
    const d = load<u32>(hashes, 12);
    store<u8>(stickyBucketAt(table, mask, a), <u8>a, BUCKET_HASH);
    store<u8>(stickyBucketAt(table, mask, b), <u8>b, BUCKET_HASH);
    store<u8>(stickyBucketAt(table, mask, c), <u8>c, BUCKET_HASH);
    store<u8>(stickyBucketAt(table, mask, d), <u8>d, BUCKET_HASH);
  }
}
/** The live entry of the flow, or 0. `now` in seconds. While flows are moved here from another table, brings it over. */
export function stickyFind(table: usize, hash: u32, vip: u32, now: u32): usize {
  const entry = stickyFindHere(table, hash, vip, now);
  return entry != 0 ? entry : stickyTakeOver(table, hash, vip, now);
}
/** The same, in this table alone. */
export function stickyFindHere(table: usize, hash: u32, vip: u32, now: u32): usize {
  const mask = stickyMask(table);
  const vips = stickyVips(vip);
  const nows = i32x4.splat(now);
  let bucket = stickyBucketAt(table, mask, hash);
  let hits = stickyHits(bucket, hash, vips, nows);
  if (hits == 0) {
    bucket = otherBucket(table, mask, bucket);
    hits = stickyHits(bucket, hash, vips, nows);
    if (hits == 0) return 0;
  }
  return stickyEntry(bucket, hits);
}
/** The entry that a bit of stickyHits() says. */
// @ts-ignore: decorator
@inline export function stickyEntry(bucket: usize, hits: i32): usize {
  return bucket + (<usize>ctz(hits) << 2);
}
/** The VIP as stickyHits() wants it. Make it once per run: V8 takes nothing out of a loop. */
// @ts-ignore: decorator
@inline export function stickyVips(vip: u32): v128 {
  return i32x4.splat(vip << VIP_SHIFT_OUT);
}
/** The same, of who has it in all four lanes. */
// @ts-ignore: decorator
@inline export function stickyVipsOf(vips: v128): v128 {
  return i32x4.shl(vips, VIP_SHIFT_OUT);
}
/** A bit for each slot that has the flow's live entry; there is one at most. `nows`: the second, in all four lanes. */
// @ts-ignore: decorator
@inline export function stickyHits(bucket: usize, hash: u32, vips: v128, nows: v128): i32 {
  return stickyHitsOf(bucket, i32x4.splat(hash), vips, nows);
}
/** The same, of who has the hash in all four lanes. */
// @ts-ignore: decorator
@inline export function stickyHitsOf(bucket: usize, hashes: v128, vips: v128, nows: v128): i32 {
  const same = v128.and(
    i32x4.eq(v128.load(bucket, BUCKET_HASH), hashes),
    i32x4.eq(i32x4.shl(v128.load(bucket, BUCKET_VIP), VIP_SHIFT_OUT), vips),
  );
  return i32x4.bitmask(v128.and(same, i32x4.gt_s(v128.load(bucket, BUCKET_EXPIRY), nows)));
}
/** An entry that is over or was never used, for a flow that has none; 0 if both buckets are full of live flows: the packet is untracked. */
export function stickyFree(table: usize, hash: u32, now: u32): usize {
  const mask = stickyMask(table);
  let bucket = stickyBucketAt(table, mask, hash);
  let over = overIn(bucket, now);
  if (over == 0) {
    bucket = otherBucket(table, mask, bucket);
    over = overIn(bucket, now);
    if (over == 0) return 0;
  }
  return stickyEntry(bucket, over);
}
// @ts-ignore: decorator
@inline function overIn(bucket: usize, now: u32): i32 {
  return i32x4.bitmask(i32x4.le_s(v128.load(bucket, BUCKET_EXPIRY), i32x4.splat(now)));
}
/** Application server of the entry. */
// @ts-ignore: decorator
@inline export function stickyAs(entry: usize): u32 {
  return load<u32>(entry, BUCKET_AS) & AS_MASK;
}
/** What stickySetState() has set since the flow was entered, else 0. */
// @ts-ignore: decorator
@inline export function stickyState(entry: usize): u32 {
  return <u32>load<u16>(entry, BUCKET_VIP + 2) | (<u32>load<u8>(entry, BUCKET_AS + 3) << 16);
}
/** Keeps 24 bits with a flow, for whoever uses the table. A flow that comes back after its timeout has lost them. */
// @ts-ignore: decorator
@inline export function stickySetState(entry: usize, state: u32): void {
  store<u16>(entry, <u16>state, BUCKET_VIP + 2);
  store<u8>(entry, <u8>(state >>> 16), BUCKET_AS + 3);
}
/** The flow had a packet. `expiry`: now + timeout. */
// @ts-ignore: decorator
@inline export function stickyRefresh(entry: usize, expiry: u32): void {
  // Most packets come in the second of the flow's last one. A store would stall the next packet of the flow, which loads
  // the four expiries at once, until the store has left the store buffer.
  if (load<u32>(entry, BUCKET_EXPIRY) != expiry) store<u32>(entry, expiry, BUCKET_EXPIRY);
}
/** Fills a free entry; its state is 0. `as` (less than 2^24; `vip` less than 2^16) must not be 0: a flow without a server takes no entry. */
// @ts-ignore: decorator
@inline export function stickyInsert(entry: usize, hash: u32, vip: u32, as: u32, expiry: u32): void {
  store<u32>(entry, hash, BUCKET_HASH);
  store<u32>(entry, vip, BUCKET_VIP);
  store<u32>(entry, as, BUCKET_AS);
  store<u32>(entry, expiry, BUCKET_EXPIRY);
}
