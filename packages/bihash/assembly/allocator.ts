/** Page-sets of the region: a free list per size, and what was never handed out. */
import {
  MAX_LOG2_PAGES,
  TABLE_FREE,
  TABLE_LOCK,
  TABLE_NEXT,
  TABLE_PAGE_SHIFT,
  TABLE_REGION,
  TABLE_REGION_BYTES,
  TABLE_USED,
} from '../src/layout.ts';
import { NONE, keyAt, valueAt } from './page.ts';

// @ts-ignore: decorator
@inline function lock(table: usize): void {
  while (atomic.cmpxchg<i32>(table + TABLE_LOCK, 0, 1) != 0) {
    while (atomic.load<i32>(table + TABLE_LOCK) != 0) {}
  }
}
// @ts-ignore: decorator
@inline function unlock(table: usize): void {
  atomic.store<i32>(table + TABLE_LOCK, 0);
}
// @ts-ignore: decorator
@inline function freeList(table: usize, log2Pages: u32): usize {
  return table + TABLE_FREE + (<usize>log2Pages << 2);
}

/** Returns the address of a page-set of free entries, or 0 if there is no room. */
export function allocate(words: u32, table: usize, log2Pages: u32): usize {
  lock(table);
  const set = take(table, log2Pages);
  if (set) store<u32>(table, load<u32>(table, TABLE_USED) + bytesOf(table, log2Pages), TABLE_USED);
  unlock(table);
  if (set) {
    const pages: usize = <usize>1 << log2Pages;
    for (let i: usize = 0; i < pages; i++) {
      const page = set + (i << load<u32>(table, TABLE_PAGE_SHIFT));
      for (let slot: usize = 0; slot < 4; slot++) store<u64>(valueAt(words, keyAt(words, page, slot)), NONE);
    }
  }
  return set;
}

/** Takes a page-set back. No bucket may point to it any more; readers may still be reading it, and will find out. */
export function release(table: usize, set: usize, log2Pages: u32): void {
  lock(table);
  store<u32>(table, load<u32>(table, TABLE_USED) - bytesOf(table, log2Pages), TABLE_USED);
  push(table, set, log2Pages);
  unlock(table);
}

// @ts-ignore: decorator
@inline function bytesOf(table: usize, log2Pages: u32): u32 {
  return <u32>1 << (load<u32>(table, TABLE_PAGE_SHIFT) + log2Pages);
}
function push(table: usize, set: usize, log2Pages: u32): void {
  const list = freeList(table, log2Pages);
  store<u32>(set, load<u32>(list));
  store<u32>(list, <u32>set);
}
function take(table: usize, log2Pages: u32): usize {
  const list = freeList(table, log2Pages);
  let set: usize = load<u32>(list);
  if (set) {
    store<u32>(list, load<u32>(set));
    return set;
  }
  const next = load<u32>(table, TABLE_NEXT);
  const bytes = bytesOf(table, log2Pages);
  if (bytes <= load<u32>(table, TABLE_REGION_BYTES) - next) {
    store<u32>(table, next + bytes, TABLE_NEXT);
    return load<u32>(table, TABLE_REGION) + next;
  }
  // The region is used up: halve a larger free one until it fits.
  for (let larger = log2Pages + 1; larger <= <u32>MAX_LOG2_PAGES; larger++) {
    const from = freeList(table, larger);
    set = load<u32>(from);
    if (!set) continue;
    store<u32>(from, load<u32>(set));
    while (larger > log2Pages) {
      larger--;
      push(table, set + bytesOf(table, larger), larger);
    }
    return set;
  }
  return 0;
}
