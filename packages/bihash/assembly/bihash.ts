/**
 * The bihash for any key size. Other packages' kernels import the functions of one size, from bihash8.ts and so on.
 *
 * Why readers need no lock. A bucket is one 64-bit word (layout.ts): where its page-set is, and a generation. Writers
 * exclude each other by a bit of it. What they do, and what a reader that runs meanwhile sees:
 *
 *  1. A page-set is replaced or freed: the new one is complete before the word is swapped, and the word's generation
 *     goes up before the old one is freed. A reader loads the word, reads, and loads the word again; if it changed
 *     (the lock bit apart), what was read may have been reused in between, and is thrown away. A page-set always lies in
 *     the table's region, so reading a freed one is harmless.
 *  2. An entry is added in place: key first, then, atomically, the value. A free entry is one whose value is NONE. So a
 *     reader must not believe a key that it compared before it saw the value: it loads the value, and then compares the
 *     key. With an unchanged word the value's coming is the only change an entry goes through, see 4.
 *  3. A value is replaced: one atomic store. Old or new, both are right.
 *  4. An entry is deleted: its value becomes NONE; then the generation goes up, before the entry can be used for another
 *     key. Without that, a reader could see one key's value with, before and after, another key in its place.
 *
 * The vector compare only proposes entries; it is not atomic, and may be fooled by an entry that is being written, but only
 * by entries that come or go during the search, where "not found" and "found" are both right. Atomic loads are plain
 * loads on x86-64. Where the processor may delay plain loads (arm64), the second load of the word must not overtake the
 * compare's: its address is made to depend on the result, by bits of it that are always 0.
 *
 * A generation has 32 bits: a reader would have to be stopped in mid-search for exactly 2^32 changes of that bucket.
 */
import {
  ADDED,
  BAD_VALUE,
  EXISTED,
  FULL,
  MAX_LOG2_PAGES,
  MISSING,
  TABLE_LOG2_BUCKETS,
  TABLE_SIZE,
  TABLE_SPLITS,
  WORD_FLAGS,
  WORD_LINEAR,
  WORD_LOCKED,
  WORD_LOG2_PAGES,
} from '../src/layout.ts';
import { allocate, release } from './allocator.ts';
import { hashOf } from './hash.ts';
import { NONE, bucketOf, candidates, keyAt, pageShift, sameKey, valueAt } from './page.ts';

// ---- The bucket's word ---------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline function setOf(word: u64): usize {
  return <usize>(<u32>word & ~WORD_FLAGS);
}
// @ts-ignore: decorator
@inline function log2PagesOf(word: u64): u32 {
  return <u32>word & WORD_LOG2_PAGES;
}
// @ts-ignore: decorator
@inline function isLinear(word: u64): bool {
  return (<u32>word & WORD_LINEAR) != 0;
}
/** The word that follows `word`: the next generation, not locked. */
// @ts-ignore: decorator
@inline function nextWord(word: u64, set: usize, flags: u32): u64 {
  return (((word >> 32) + 1) << 32) | <u64>(<u32>set | flags);
}
// @ts-ignore: decorator
@inline function pageIn(words: u32, table: usize, set: usize, hash: u32, log2Pages: u32): usize {
  // Bits of the hash that did not choose the bucket. With 2^32 buckets there would be none; they don't fit the memory.
  const page = (hash >> load<u32>(table, TABLE_LOG2_BUCKETS)) & ((<u32>1 << log2Pages) - 1);
  return set + (<usize>page << pageShift(words));
}
// A lock is held for well under a microsecond, so waiting is spinning. Not memory.atomic.wait32: with Node 20, code of V8's
// baseline compiler comes back from it with locals lost, in one thread already, and entries get wrong keys.
function lockBucket(bucket: usize): u64 {
  while (true) {
    const word = atomic.load<u64>(bucket);
    if (<u32>word & WORD_LOCKED) continue;
    if (atomic.cmpxchg<u64>(bucket, word, word | WORD_LOCKED) == word) return word;
  }
}

// ---- Readers -------------------------------------------------------------------------------------------------------

/**
 * Loads the lines that a search will want. Call it for a whole vector before the searches, add up what it returns and
 * store the sum somewhere, so that no compiler drops it.
 */
// @ts-ignore: decorator
@inline export function touch(words: u32, table: usize, hash: u32): u64 {
  const word = load<u64>(bucketOf(table, hash));
  const set = setOf(word);
  if (!set) return 0;
  return load<u64>(pageIn(words, table, set, hash, log2PagesOf(word)));
}

/** Returns the key's value, or NONE. */
// @ts-ignore: decorator
@inline export function search(words: u32, table: usize, hash: u32, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64): u64 {
  const bucket = bucketOf(table, hash);
  let value: u64 = NONE;
  while (true) {
    const word = atomic.load<u64>(bucket);
    const set = setOf(word);
    if (!set) break;
    const flags = <u32>word & (WORD_LOG2_PAGES | WORD_LINEAR);
    let zero: u32 = 0;
    if (!flags) {
      const may = candidates(words, set, k0, k1);
      zero = may >> 4;
      value = confirm(words, set, may, k0, k1, k2, k3, k4);
    } else if (!(flags & WORD_LINEAR)) {
      const page = pageIn(words, table, set, hash, flags);
      const may = candidates(words, page, k0, k1);
      zero = may >> 4;
      value = confirm(words, page, may, k0, k1, k2, k3, k4);
    } else {
      const end = set + (<usize>1 << (pageShift(words) + (flags & WORD_LOG2_PAGES)));
      for (let page = set; page < end; page += <usize>1 << pageShift(words)) {
        const may = candidates(words, page, k0, k1);
        zero |= may >> 4;
        value = confirm(words, page, may, k0, k1, k2, k3, k4);
        if (value != NONE) break;
      }
    }
    if (!((atomic.load<u64>(bucket + zero) ^ word) & ~(<u64>WORD_LOCKED))) break;
    value = NONE;
  }
  return value;
}
// The value of that of the proposed entries which has the key. The value is loaded before the key is compared: see 2.
// @ts-ignore: decorator
@inline function confirm(words: u32, page: usize, may: u32, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64): u64 {
  let found: u64 = NONE;
  while (may) {
    const key = keyAt(words, page, <usize>ctz(may));
    const value = atomic.load<u64>(valueAt(words, key));
    if (value != NONE && sameKey(words, key, k0, k1, k2, k3, k4)) {
      found = value;
      break;
    }
    may &= may - 1;
  }
  return found;
}

// ---- Writers -------------------------------------------------------------------------------------------------------

/** Adds a key, or replaces its value if `replace`. Returns ADDED, EXISTED, FULL or BAD_VALUE. */
// @ts-ignore: decorator
@inline export function put(
  words: u32, table: usize, hash: u32, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64, value: u64, replace: bool,
): i32 {
  if (value == NONE) return BAD_VALUE;
  const bucket = bucketOf(table, hash);
  const word = lockBucket(bucket);
  let set = setOf(word);
  let after = word;
  let key: usize = 0;
  if (set) {
    key = find(words, table, word, hash, k0, k1, k2, k3, k4);
    if (key) {
      if (replace) atomic.store<u64>(valueAt(words, key), value);
      atomic.store<u64>(bucket, word);
      return EXISTED;
    }
    key = freeEntry(words, table, word, hash);
    if (!key) after = grow(words, table, word, hash);
  } else {
    set = allocate(words, table, 0);
    if (set) after = nextWord(word, set, 0);
  }
  if (!key) {
    if (after == word) {
      atomic.store<u64>(bucket, word);
      return FULL;
    }
    // Nobody else knows the new page-set yet.
    key = freeEntry(words, table, after, hash);
  }
  store<u64>(key, k0);
  if (words > 1) store<u64>(key, k1, 8);
  if (words > 2) store<u64>(key, k2, 16);
  if (words > 3) {
    store<u64>(key, k3, 24);
    store<u64>(key, k4, 32);
  }
  atomic.store<u64>(valueAt(words, key), value);
  atomic.store<u64>(bucket, after);
  if (after != word && setOf(word)) release(table, setOf(word), log2PagesOf(word));
  atomic.add<u32>(table + TABLE_SIZE, 1);
  return ADDED;
}

/** Removes a key. Returns ADDED (0) or MISSING. A bucket with few entries gives pages back. */
// @ts-ignore: decorator
@inline export function remove(words: u32, table: usize, hash: u32, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64): i32 {
  const bucket = bucketOf(table, hash);
  const word = lockBucket(bucket);
  const key = setOf(word) ? find(words, table, word, hash, k0, k1, k2, k3, k4) : 0;
  if (!key) {
    atomic.store<u64>(bucket, word);
    return MISSING;
  }
  atomic.store<u64>(valueAt(words, key), NONE);
  const after = shrink(words, table, word, hash);
  atomic.store<u64>(bucket, after);
  if (setOf(after) != setOf(word)) release(table, setOf(word), log2PagesOf(word));
  atomic.sub<u32>(table + TABLE_SIZE, 1);
  return ADDED;
}

// The first page to look at for a hash, and the end of the last. Both under the bucket's lock.
// @ts-ignore: decorator
@inline function firstPage(words: u32, table: usize, word: u64, hash: u32): usize {
  return isLinear(word) ? setOf(word) : pageIn(words, table, setOf(word), hash, log2PagesOf(word));
}
// @ts-ignore: decorator
@inline function lastPage(words: u32, table: usize, word: u64, hash: u32): usize {
  return isLinear(word) ? setEnd(words, word) - (<usize>1 << pageShift(words)) : firstPage(words, table, word, hash);
}
// @ts-ignore: decorator
@inline function setEnd(words: u32, word: u64): usize {
  return setOf(word) + (<usize>1 << (pageShift(words) + log2PagesOf(word)));
}
/** Address of the key's entry, or 0. */
function find(words: u32, table: usize, word: u64, hash: u32, k0: u64, k1: u64, k2: u64, k3: u64, k4: u64): usize {
  const last = lastPage(words, table, word, hash);
  for (let page = firstPage(words, table, word, hash); page <= last; page += <usize>1 << pageShift(words)) {
    for (let slot: usize = 0; slot < 4; slot++) {
      const key = keyAt(words, page, slot);
      if (load<u64>(valueAt(words, key)) != NONE && sameKey(words, key, k0, k1, k2, k3, k4)) return key;
    }
  }
  return 0;
}
/** Address of a free entry for the hash, or 0. */
function freeEntry(words: u32, table: usize, word: u64, hash: u32): usize {
  const last = lastPage(words, table, word, hash);
  for (let page = firstPage(words, table, word, hash); page <= last; page += <usize>1 << pageShift(words)) {
    for (let slot: usize = 0; slot < 4; slot++) {
      const key = keyAt(words, page, slot);
      if (load<u64>(valueAt(words, key)) == NONE) return key;
    }
  }
  return 0;
}
function countEntries(words: u32, word: u64): u32 {
  const end = setEnd(words, word);
  let n: u32 = 0;
  for (let page = setOf(word); page < end; page += <usize>1 << pageShift(words)) {
    for (let slot: usize = 0; slot < 4; slot++) n += load<u64>(valueAt(words, keyAt(words, page, slot))) != NONE ? 1 : 0;
  }
  return n;
}

/**
 * The word after an entry was deleted: without a page-set if it was the last; with one of half the size once a quarter of
 * the entries is in use, if they fit; otherwise the same, in the next generation.
 */
function shrink(words: u32, table: usize, word: u64, hash: u32): u64 {
  const log2Pages = log2PagesOf(word);
  const entries = countEntries(words, word);
  if (!entries) return nextWord(word, 0, 0);
  if (log2Pages && entries <= <u32>1 << log2Pages) {
    let after = spread(words, table, word, hash, log2Pages - 1);
    if (after == word && isLinear(word)) after = line(words, table, word, hash, log2Pages - 1);
    if (after != word) return after;
  }
  return nextWord(word, setOf(word), <u32>word & (WORD_LOG2_PAGES | WORD_LINEAR));
}
/**
 * Builds a larger page-set with the bucket's entries and room for one with `hash`; returns its word, or `word` itself if
 * there is no room. Twice the pages, four times; if a page overflows even then, twice the pages searched linearly.
 */
function grow(words: u32, table: usize, word: u64, hash: u32): u64 {
  const log2Pages = log2PagesOf(word) + 1;
  let after: u64 = word;
  if (log2Pages <= <u32>MAX_LOG2_PAGES) {
    after = spread(words, table, word, hash, log2Pages);
    if (after == word && log2Pages < <u32>MAX_LOG2_PAGES) after = spread(words, table, word, hash, log2Pages + 1);
    if (after == word) after = line(words, table, word, hash, log2Pages);
  } else if (!isLinear(word)) {
    after = line(words, table, word, hash, MAX_LOG2_PAGES);
  }
  if (after != word) atomic.add<u32>(table + TABLE_SPLITS, 1);
  return after;
}
/** The entries in a new page-set, each in its page; `word` itself if one overflows or there is no room. */
function spread(words: u32, table: usize, word: u64, hash: u32, log2Pages: u32): u64 {
  const set = allocate(words, table, log2Pages);
  if (!set) return word;
  const after = nextWord(word, set, log2Pages);
  if (rehash(words, table, word, after, hash)) return after;
  release(table, set, log2Pages);
  return word;
}
/** The entries in a new page-set one after the other; `word` itself if there is no room. */
function line(words: u32, table: usize, word: u64, hash: u32, log2Pages: u32): u64 {
  const set = allocate(words, table, log2Pages);
  if (!set) return word;
  const after = nextWord(word, set, log2Pages | WORD_LINEAR);
  rehash(words, table, word, after, hash);
  return after;
}
/** Copies the entries of `from` into the free entries of `to`. False if one page overflows, or has no room for `hash`. */
function rehash(words: u32, table: usize, from: u64, to: u64, hash: u32): bool {
  const end = setEnd(words, from);
  for (let page = setOf(from); page < end; page += <usize>1 << pageShift(words)) {
    for (let slot: usize = 0; slot < 4; slot++) {
      const key = keyAt(words, page, slot);
      const value = load<u64>(valueAt(words, key));
      if (value == NONE) continue;
      const place = freeEntry(words, table, to, hashAt(words, key));
      if (!place) return false;
      for (let i: u32 = 0; i < words; i++) store<u64>(place + (<usize>i << 3), load<u64>(key + (<usize>i << 3)));
      store<u64>(valueAt(words, place), value);
    }
  }
  return freeEntry(words, table, to, hash) != 0;
}
/** Hash of the key at an address. */
// @ts-ignore: decorator
@inline export function hashAt(words: u32, key: usize): u32 {
  return hashOf(words, load<u64>(key), at(words, key, 1), at(words, key, 2), at(words, key, 3), at(words, key, 4));
}
/** Word `i` of the key at an address; 0 if it has no such word. */
// @ts-ignore: decorator
@inline export function at(words: u32, key: usize, i: u32): u64 {
  return i < words ? load<u64>(key + (<usize>i << 3)) : 0;
}
