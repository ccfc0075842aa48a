/** Walks over whole tables, for the control plane; the worker may be writing meanwhile. */
import { BUCKET_EXPIRY, BUCKET_SHIFT, STICKY_HEADER, STICKY_MASK } from '../src/layout.ts';

/** Number of live entries. */
export function sticky_usage(table: usize, now: u32): u32 {
  const end = table + STICKY_HEADER + (<usize>(load<u32>(table, STICKY_MASK) + 1) << BUCKET_SHIFT);
  let sum = i32x4.splat(0);
  for (let bucket = table + STICKY_HEADER; bucket < end; bucket += 1 << BUCKET_SHIFT) {
    sum = i32x4.sub(sum, i32x4.gt_s(v128.load(bucket, BUCKET_EXPIRY), i32x4.splat(now)));
  }
  return i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
}
