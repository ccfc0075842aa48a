import { bufferAt, dataOf, fanoutOf, framesOf, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import { META_DPO, META_HASH, NODE_DATA } from '@lbd/graph/src/layout.ts';
import { IP4_DESTINATION, IP4_SOURCE, IP6_DESTINATION, IP6_SOURCE } from '@lbd/packet/src/layout.ts';
import { DPO_SHIFT, FIB4_AHEAD_PLIES, FIB4_LEAF, FIB4_PLIES, FIB6_LAST_AT, LOOKUP6_LAST } from '../src/layout.ts';
import { bucketOfHash, endsAt, reasonOfDpo, slotOfDpo } from './dpo.ts';
import { fib4Lookup, fib4Ply, fib4Root } from './fib4.ts';
import { fib6LookupNext } from './fib6.ts';
import { allNexts, setNext } from './next.ts';

/** Finds the DPO of the destination. The node's data: address of the FIB. */
export function ip4Lookup(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const fib: usize = load<u32>(node, NODE_DATA);
  const fanout = fanoutOf(node);
  if (load<u32>(fib, FIB4_PLIES) > <u32>FIB4_AHEAD_PLIES) loadAhead(vector, count, frames, metadata, fib);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  for (let from = vector; from < end; ) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    const ip = dataOf(frames, buffer, meta);
    const dpo = fib4Lookup(fib, ip + IP4_DESTINATION);
    const slot = slotOfDpo(fanout, dpo);
    let at = from + 4;
    if (endsAt(dpo)) {
      store<u32>(meta, dpo, META_DPO);
      reasonOfDpo(node, meta, dpo);
    } else at = sameWay(from, end, frames, metadata, fib, dpo, load<u32>(ip, IP4_DESTINATION));
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

/** Looks up packets until the DPO of one is of another type than `dpo`, which is that of `last`; returns its place. */
function sameWay(at: usize, end: usize, frames: usize, metadata: usize, fib: usize, dpo: u32, last: u32): usize {
  const type = dpo >> DPO_SHIFT;
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const destination = dataOf(frames, buffer, meta) + IP4_DESTINATION;
    const address = load<u32>(destination);
    if (address != last) {
      dpo = fib4Lookup(fib, destination);
      if (dpo >> DPO_SHIFT != type) break;
      last = address;
    }
    store<u32>(meta, dpo, META_DPO);
  }
  return at;
}

/** Loads the entries of a big table level by level, so that the cache misses of all packets overlap. */
function loadAhead(vector: usize, count: i32, frames: usize, metadata: usize, fib: usize): void {
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    store<u32>(meta, fib4Root(fib, dataOf(frames, buffer, meta) + IP4_DESTINATION), META_DPO);
  }
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const entry = load<u32>(meta, META_DPO);
    if (entry >= <u32>FIB4_LEAF) continue;
    store<u32>(meta, fib4Ply(entry, load<u8>(dataOf(frames, buffer, meta), IP4_DESTINATION + 2)), META_DPO);
  }
}

/** Finds the DPO of the destination. The node's data: address of the FIB, and LOOKUP6_LAST. */
export function ip6Lookup(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const fib: usize = load<u32>(node, NODE_DATA);
  const fanout = fanoutOf(node);
  const last = node + NODE_DATA + LOOKUP6_LAST;
  store<u32>(last, 0, FIB6_LAST_AT);
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const dpo = fib6LookupNext(fib, dataOf(frames, buffer, meta) + IP6_DESTINATION, last);
    store<u32>(meta, dpo, META_DPO);
    if (endsAt(dpo)) reasonOfDpo(node, meta, dpo);
    differ |= setNext(nexts, i, slotOfDpo(fanout, dpo));
  }
  return allNexts(nexts, differ);
}

/** Spreads flows over the members of a load balance. The node's data: address of the table of load balances. */
export function loadBalance(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const balances: usize = load<u32>(node, NODE_DATA);
  const fanout = fanoutOf(node);
  let differ: u32 = 0;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    let hash = load<u32>(meta, META_HASH);
    if (hash == 0) hash = hashOfAddresses(dataOf(frames, buffer, meta));
    const dpo = bucketOfHash(balances, load<u32>(meta, META_DPO), hash);
    store<u32>(meta, dpo, META_DPO);
    if (endsAt(dpo)) reasonOfDpo(node, meta, dpo);
    differ |= setNext(nexts, i, slotOfDpo(fanout, dpo));
  }
  return allNexts(nexts, differ);
}

/** Of the IP packet's source and destination: the same for all packets of a flow, fragments too. */
// @ts-ignore: decorator
@inline function hashOfAddresses(ip: usize): u32 {
  let words: u64;
  if (load<u8>(ip) >> 4 == 6) {
    const source = mix(load<u64>(ip, IP6_SOURCE)) ^ load<u64>(ip, IP6_SOURCE + 8);
    words = mix(mix(source) ^ load<u64>(ip, IP6_DESTINATION)) ^ load<u64>(ip, IP6_DESTINATION + 8);
  } else words = load<u64>(ip, IP4_SOURCE);
  return <u32>(mix(words) >> 32);
}
// @ts-ignore: decorator
@inline function mix(word: u64): u64 {
  const h = word * 0xff51afd7ed558ccd;
  return h ^ (h >> 32);
}
