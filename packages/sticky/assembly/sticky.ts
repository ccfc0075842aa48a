/**
 * The sticky table, for kernels of other packages, packet by packet. Only the worker that owns the table may write to it:
 * nothing here is atomic. The way of a packet:
 *
 *     const bucket = stickyBucket(table, hash);
 *     let slot = stickyFind(bucket, hash, vip, now);
 *     if (slot >= 0) { as = stickyAs(bucket, slot); stickyRefresh(bucket, slot, expiry); }
 *     else if (as) { slot = stickyFree(bucket, now); if (slot >= 0) stickyInsert(bucket, slot, hash, vip, as, expiry); }
 *
 * with `expiry = now + stickyTimeout(table)`. The bucket is the low bits of the hash; all of the hash is compared.
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
// @ts-ignore: decorator
@inline export function stickyBucket(table: usize, hash: u32): usize {
  return stickyBucketAt(table, stickyMask(table), hash);
}
/** The same, with the mask that was loaded once. */
// @ts-ignore: decorator
@inline export function stickyBucketAt(table: usize, mask: u32, hash: u32): usize {
  return table + STICKY_BYTES + ((<usize>(hash & mask)) << BUCKET_SHIFT);
}
/**
 * Brings the bucket's line near, for the loop before the one that uses it, by a store, which holds up nothing that follows
 * (WebAssembly has no prefetch). It changes nothing: the low byte of the hashes in a bucket is that of the bucket's index,
 * if there are 256 buckets at least; smaller tables are in the cache anyway.
 */
// @ts-ignore: decorator
@inline export function stickyTouch(bucket: usize, mask: u32, hash: u32): void {
  if (mask >= 255) store<u8>(bucket, <u8>hash, BUCKET_HASH);
}
/**
 * stickyTouch() for `count` hashes (u32 each at `hashes`), and up to three words behind them, which may be anything. In a
 * loop that does nothing else: a line that is on its way holds up the stores behind its own, and loads beside it, so
 * of many lines the more are under way the less stands between.
 */
export function stickyTouchAll(table: usize, hashes: usize, count: i32): void {
  const mask = stickyMask(table);
  if (mask < 255) return;
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
/** Slot (0 to 3) of the live entry of the flow, or -1. `now` in seconds. */
// @ts-ignore: decorator
@inline export function stickyFind(bucket: usize, hash: u32, vip: u32, now: u32): i32 {
  return firstOf(stickyHits(bucket, hash, stickyVips(vip), i32x4.splat(now)));
}
/** The VIP as stickyHits() wants it. Make it once per run: V8 takes nothing out of a loop. */
// @ts-ignore: decorator
@inline export function stickyVips(vip: u32): v128 {
  return i32x4.splat(vip << VIP_SHIFT_OUT);
}
/** A bit for each slot that has the flow's live entry; there is one at most. `nows`: the second, in all four lanes. */
// @ts-ignore: decorator
@inline export function stickyHits(bucket: usize, hash: u32, vips: v128, nows: v128): i32 {
  const same = v128.and(
    i32x4.eq(v128.load(bucket, BUCKET_HASH), i32x4.splat(hash)),
    i32x4.eq(i32x4.shl(v128.load(bucket, BUCKET_VIP), VIP_SHIFT_OUT), vips),
  );
  return i32x4.bitmask(v128.and(same, i32x4.gt_s(v128.load(bucket, BUCKET_EXPIRY), nows)));
}
/** Slot of an entry that is over or was never used, or -1 if the bucket is full of live flows: the packet is untracked. */
// @ts-ignore: decorator
@inline export function stickyFree(bucket: usize, now: u32): i32 {
  return firstOf(i32x4.bitmask(i32x4.le_s(v128.load(bucket, BUCKET_EXPIRY), i32x4.splat(now))));
}
// @ts-ignore: decorator
@inline function firstOf(bits: i32): i32 {
  return bits ? ctz(bits) : -1;
}
/** Application server of the entry. */
// @ts-ignore: decorator
@inline export function stickyAs(bucket: usize, slot: i32): u32 {
  return load<u32>(bucket + (<usize>slot << 2), BUCKET_AS) & AS_MASK;
}
/** What stickySetState() has set since the flow was entered, else 0. */
// @ts-ignore: decorator
@inline export function stickyState(bucket: usize, slot: i32): u32 {
  const entry = bucket + (<usize>slot << 2);
  return <u32>load<u16>(entry, BUCKET_VIP + 2) | (<u32>load<u8>(entry, BUCKET_AS + 3) << 16);
}
/** Keeps 24 bits with a flow, for whoever uses the table. A flow that comes back after its timeout has lost them. */
// @ts-ignore: decorator
@inline export function stickySetState(bucket: usize, slot: i32, state: u32): void {
  const entry = bucket + (<usize>slot << 2);
  store<u16>(entry, <u16>state, BUCKET_VIP + 2);
  store<u8>(entry, <u8>(state >>> 16), BUCKET_AS + 3);
}
/** The flow had a packet. `expiry`: now + timeout. */
// @ts-ignore: decorator
@inline export function stickyRefresh(bucket: usize, slot: i32, expiry: u32): void {
  const entry = bucket + (<usize>slot << 2);
  // Most packets come in the second of the flow's last one. A store would stall the next packet of the flow, which loads
  // the four expiries at once, until the store has left the store buffer.
  if (load<u32>(entry, BUCKET_EXPIRY) != expiry) store<u32>(entry, expiry, BUCKET_EXPIRY);
}
/** Fills a free entry; its state is 0. `as` (less than 2^24; `vip` less than 2^16) must not be 0: a flow without a server takes no entry. */
// @ts-ignore: decorator
@inline export function stickyInsert(bucket: usize, slot: i32, hash: u32, vip: u32, as: u32, expiry: u32): void {
  const entry = bucket + (<usize>slot << 2);
  store<u32>(entry, hash, BUCKET_HASH);
  store<u32>(entry, vip, BUCKET_VIP);
  store<u32>(entry, as, BUCKET_AS);
  store<u32>(entry, expiry, BUCKET_EXPIRY);
}
