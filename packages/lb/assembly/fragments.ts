/**
 * What is remembered of fragmented datagrams: a later fragment has no ports, so what was decided about the first is kept for
 * FRAGMENT_SECONDS, by what makes fragments a datagram: source, destination, identification, and for IPv4 the protocol (RFC
 * 791, section 3.2; RFC 8200, section 4.5).
 *
 * One table for all workers. Nobody waits for a lock: a writer that finds an entry being written takes another or
 * gives up, a reader takes it as not there. So a datagram may be forgotten; what is found was always remembered of that very
 * datagram. The newest first fragment counts: a sender uses identifications again.
 */
import { FLAG_FIRST_FRAGMENT, META_AS, META_FLAGS, META_HASH, META_L4, META_LENGTH, META_PROTOCOL } from '@lbd/graph/src/layout.ts';
import {
  IP4_FRAGMENT,
  IP4_ID,
  IP4_PROTOCOL,
  IP4_SOURCE,
  IP6_BYTES,
  IP6_DESTINATION,
  IP6_EXTENSION_LENGTH,
  IP6_EXTENSION_NEXT,
  IP6_FRAGMENT_BYTES,
  IP6_FRAGMENT_ID,
  IP6_FRAGMENT_OFFSET,
  IP6_MAX_EXTENSIONS,
  IP6_NEXT_HEADER,
  IP6_SOURCE,
  PROTOCOL_AH,
  PROTOCOL_DESTINATION_OPTIONS,
  PROTOCOL_FRAGMENT,
  PROTOCOL_HOP_BY_HOP,
  PROTOCOL_ROUTING,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_BYTES,
  UDP_BYTES,
} from '@lbd/packet/src/layout.ts';
import {
  AS_GENERATION,
  FRAGMENT_ADDED,
  FRAGMENT_ADDRESSES,
  FRAGMENT_DATAGRAM,
  FRAGMENT_EXPIRY,
  FRAGMENT_GENERATION,
  FRAGMENT_SECONDS,
  FRAGMENT_SEQUENCE,
  FRAGMENT_SHIFT,
  FRAGMENT_VALUE,
  FRAGMENTS_ADDED,
  FRAGMENTS_BUCKET_SHIFT,
  FRAGMENTS_BYTES,
  FRAGMENTS_CHOICE,
  FRAGMENTS_ENCAP,
  FRAGMENTS_MASK,
  FRAGMENTS_SECRET,
  FRAGMENTS_WAYS,
} from '../src/fragment-layout.ts';
import { AS_SHIFT, LB_FRAGMENTS, LB_SERVERS } from '../src/layout.ts';

// ---- For encaps ------------------------------------------------------------------------------------------------------

/**
 * Remembers a value, not 0, for the datagram of a fragment. `lb` is the worker's block, `ip` the IP header as it came (call it
 * before rewriting), `now` seconds. What one encap remembers another would find: one node of return traffic asks. A packet
 * without a fragment header is not remembered.
 */
export function rememberFragments(lb: usize, ip: usize, meta: usize, now: u32, value: u64): void {
  remember(lb, ip, meta, now, FRAGMENTS_ENCAP, value, 0);
}

/** What rememberFragments() has remembered of the datagram of a fragment, else 0. Call it before rewriting. */
export function findFragments(lb: usize, ip: usize, meta: usize, now: u32): u64 {
  return find(lb, ip, meta, now, FRAGMENTS_ENCAP);
}

/**
 * An encap sends the first fragment of a client's datagram to another server, META_AS now, than the choosing node said. Call it
 * before rewriting; the others' is then fragmentsServer().
 */
export function moveFragments(lb: usize, ip: usize, meta: usize, now: u32): void {
  rememberChoice(lb, ip, meta, now);
}

/** Index of the server that the first fragment of a client's datagram went to; 0 if that is not known. Call it before rewriting. */
export function fragmentsServer(lb: usize, ip: usize, meta: usize, now: u32): u32 {
  return choiceServer(findChoice(lb, ip, meta, now));
}

// ---- For the choosing nodes --------------------------------------------------------------------------------------------

/**
 * Remembers the server (META_AS) and the hash (META_HASH) of a first fragment for the others of its datagram. With
 * META_AS 0: that the packet was left to the kernel, as the others then are.
 */
export function rememberChoice(lb: usize, ip: usize, meta: usize, now: u32): void {
  const server = load<u32>(meta, META_AS);
  const value = <u64>load<u32>(meta, META_HASH) | (<u64>server << 32) | ((<u64>1) << 63);
  remember(lb, ip, meta, now, FRAGMENTS_CHOICE, value, server == 0 ? 0 : generationOf(lb, server));
}

/** What rememberChoice() has remembered of the datagram of a fragment, for choiceHash() and choiceServer(), else 0. */
export function findChoice(lb: usize, ip: usize, meta: usize, now: u32): u64 {
  return find(lb, ip, meta, now, FRAGMENTS_CHOICE);
}
// @ts-ignore: decorator
@inline export function choiceHash(choice: u64): u32 {
  return <u32>choice;
}
/** Index of the server; 0: left to the kernel. */
// @ts-ignore: decorator
@inline export function choiceServer(choice: u64): u32 {
  return <u32>(choice >> 32) & 0xffffff;
}

/**
 * True for a first fragment (FLAG_FIRST_FRAGMENT) of TCP or UDP without the whole header, options aside (RFC 1858, section 3;
 * RFC 7112): nobody sends such but to hide ports and flags, and a NAT would not find the checksum. Such are to be dropped.
 */
// @ts-ignore: decorator
@inline export function isTinyFirst(meta: usize): bool {
  if (!(load<u16>(meta, META_FLAGS) & FLAG_FIRST_FRAGMENT)) return false;
  const protocol: u32 = load<u8>(meta, META_PROTOCOL);
  const least: u32 = protocol == PROTOCOL_TCP ? TCP_BYTES : protocol == PROTOCOL_UDP ? UDP_BYTES : 0;
  return <u32>load<u16>(meta, META_LENGTH) < <u32>load<u16>(meta, META_L4) + least;
}
/**
 * True for a later fragment that lies over the TCP header, which the first has whole (RFC 1858, section 3.2.2; RFC 5722). Such are
 * to be dropped. Of IPv6 only one whose fragment header is the last before TCP is seen.
 */
export function isOverlapping(ip: usize, meta: usize): bool {
  if (load<u8>(ip) >> 4 == 4) {
    const units = <u32>bswap<u16>(load<u16>(ip, IP4_FRAGMENT)) & 0x1fff;
    return <u32>load<u8>(ip, IP4_PROTOCOL) == PROTOCOL_TCP && units << 3 < <u32>TCP_BYTES;
  }
  const header = fragmentHeader(ip, load<u16>(meta, META_LENGTH));
  if (header == 0 || <u32>load<u8>(header, IP6_EXTENSION_NEXT) != PROTOCOL_TCP) return false;
  return (<u32>bswap<u16>(load<u16>(header, IP6_FRAGMENT_OFFSET)) & 0xfff8) < <u32>TCP_BYTES;
}

/** How many datagrams have been remembered so far, by all workers; wraps. */
// @ts-ignore: decorator
@inline export function fragmentsAdded(lb: usize): u32 {
  return atomic.load<u32>(<usize>load<u32>(lb, LB_FRAGMENTS), FRAGMENTS_ADDED);
}

// ---- The key -----------------------------------------------------------------------------------------------------------

/** The datagram's word: identification, protocol (IPv4 only), family, kind; 0 if the packet is no fragment. */
function datagramOf(ip: usize, meta: usize, kind: u64): u64 {
  if (load<u8>(ip) >> 4 == 4) {
    return <u64>load<u16>(ip, IP4_ID) | ((<u64>load<u8>(ip, IP4_PROTOCOL)) << 32) | ((<u64>4) << 40) | (kind << 48);
  }
  const header = fragmentHeader(ip, load<u16>(meta, META_LENGTH));
  if (header == 0) return 0;
  // Not the protocol: the fragments' next headers may differ, and the first one's counts (RFC 8200, section 4.5).
  return <u64>load<u32>(header, IP6_FRAGMENT_ID) | ((<u64>6) << 40) | (kind << 48);
}

/** Address of an IPv6 packet's fragment header, 0 if there is none among the first headers. Not past the packet's end. */
export function fragmentHeader(ip: usize, length: u32): usize {
  let protocol: u32 = load<u8>(ip, IP6_NEXT_HEADER);
  let offset: u32 = IP6_BYTES;
  for (let n = 0; n < IP6_MAX_EXTENSIONS && offset + IP6_FRAGMENT_BYTES <= length; n++) {
    const header = ip + <usize>offset;
    if (protocol == PROTOCOL_FRAGMENT) return header;
    const size: u32 = load<u8>(header, IP6_EXTENSION_LENGTH);
    if (protocol == PROTOCOL_AH) offset += (size + 2) << 2;
    else if (
      protocol == PROTOCOL_HOP_BY_HOP ||
      protocol == PROTOCOL_ROUTING ||
      protocol == PROTOCOL_DESTINATION_OPTIONS
    ) {
      offset += (size + 1) << 3;
    } else return 0;
    protocol = load<u8>(header, IP6_EXTENSION_NEXT);
  }
  return 0;
}

// @ts-ignore: decorator
@inline function mix(h: u64, word: u64): u64 {
  h = (h ^ word) * 0x9e3779b97f4a7c15;
  return h ^ (h >> 32);
}
// @ts-ignore: decorator
@inline function bucketOf(table: usize, k0: u64, k1: u64, k2: u64, k3: u64, datagram: u64): usize {
  let h = mix(mix(load<u64>(table, FRAGMENTS_SECRET), k0), datagram);
  if (datagram & ((<u64>2) << 40)) h = mix(mix(mix(h, k1), k2), k3);
  h = mix(h, load<u64>(table, FRAGMENTS_SECRET));
  return table + FRAGMENTS_BYTES + ((<usize>(<u32>h & load<u32>(table, FRAGMENTS_MASK))) << FRAGMENTS_BUCKET_SHIFT);
}
// @ts-ignore: decorator
@inline function sameKey(entry: usize, k0: u64, k1: u64, k2: u64, k3: u64, datagram: u64): bool {
  return (
    atomic.load<u64>(entry, FRAGMENT_ADDRESSES) == k0 &&
    atomic.load<u64>(entry, FRAGMENT_DATAGRAM) == datagram &&
    atomic.load<u64>(entry, FRAGMENT_ADDRESSES + 8) == k1 &&
    atomic.load<u64>(entry, FRAGMENT_ADDRESSES + 16) == k2 &&
    atomic.load<u64>(entry, FRAGMENT_ADDRESSES + 24) == k3
  );
}
// @ts-ignore: decorator
@inline function generationOf(lb: usize, server: u32): u32 {
  return atomic.load<u32>(<usize>load<u32>(lb, LB_SERVERS) + (<usize>server << AS_SHIFT), AS_GENERATION);
}

// ---- The table ---------------------------------------------------------------------------------------------------------
// Everything in an entry is read and written atomically: then the sequence counter orders it on every kind of CPU.

function find(lb: usize, ip: usize, meta: usize, now: u32, kind: u64): u64 {
  const datagram = datagramOf(ip, meta, kind);
  if (datagram == 0) return 0;
  const four = load<u8>(ip) >> 4 == 4;
  const k0 = four ? load<u64>(ip, IP4_SOURCE) : load<u64>(ip, IP6_SOURCE);
  const k1 = four ? 0 : load<u64>(ip, IP6_SOURCE + 8);
  const k2 = four ? 0 : load<u64>(ip, IP6_DESTINATION);
  const k3 = four ? 0 : load<u64>(ip, IP6_DESTINATION + 8);
  const bucket = bucketOf(load<u32>(lb, LB_FRAGMENTS), k0, k1, k2, k3, datagram);
  for (let way: usize = 0; way < <usize>FRAGMENTS_WAYS; way++) {
    const entry = bucket + (way << FRAGMENT_SHIFT);
    const sequence = atomic.load<u32>(entry, FRAGMENT_SEQUENCE);
    if (!sameKey(entry, k0, k1, k2, k3, datagram)) continue;
    if (atomic.load<u32>(entry, FRAGMENT_EXPIRY) <= now) continue;
    const value = atomic.load<u64>(entry, FRAGMENT_VALUE);
    const generation = atomic.load<u32>(entry, FRAGMENT_GENERATION);
    if (sequence & 1 || atomic.load<u32>(entry, FRAGMENT_SEQUENCE) != sequence) continue;
    if (kind == FRAGMENTS_CHOICE && choiceServer(value) != 0) {
      if (generationOf(lb, choiceServer(value)) != generation) return 0;
    }
    return value;
  }
  return 0;
}

function remember(lb: usize, ip: usize, meta: usize, now: u32, kind: u64, value: u64, generation: u32): void {
  const datagram = datagramOf(ip, meta, kind);
  if (datagram == 0) return;
  const four = load<u8>(ip) >> 4 == 4;
  const k0 = four ? load<u64>(ip, IP4_SOURCE) : load<u64>(ip, IP6_SOURCE);
  const k1 = four ? 0 : load<u64>(ip, IP6_SOURCE + 8);
  const k2 = four ? 0 : load<u64>(ip, IP6_DESTINATION);
  const k3 = four ? 0 : load<u64>(ip, IP6_DESTINATION + 8);
  const table: usize = load<u32>(lb, LB_FRAGMENTS);
  const bucket = bucketOf(table, k0, k1, k2, k3, datagram);
  const added = atomic.add<u32>(table, 1, FRAGMENTS_ADDED) + 1;
  const taken = take(bucket, k0, k1, k2, k3, datagram, now, added);
  if (taken == 0) return;
  atomic.store<u32>(taken, now + FRAGMENT_SECONDS, FRAGMENT_EXPIRY);
  atomic.store<u64>(taken, value, FRAGMENT_VALUE);
  atomic.store<u64>(taken, k0, FRAGMENT_ADDRESSES);
  atomic.store<u64>(taken, k1, FRAGMENT_ADDRESSES + 8);
  atomic.store<u64>(taken, k2, FRAGMENT_ADDRESSES + 16);
  atomic.store<u64>(taken, k3, FRAGMENT_ADDRESSES + 24);
  atomic.store<u64>(taken, datagram, FRAGMENT_DATAGRAM);
  atomic.store<u32>(taken, generation, FRAGMENT_GENERATION);
  atomic.store<u32>(taken, added, FRAGMENT_ADDED);
  unlock(taken);
}

/**
 * Locks the entry to write to: the datagram's own, else the one that is over or the oldest. What else the bucket has of the
 * datagram (two workers remembered it at a time) is ended. Returns 0 if others write to all of them.
 */
function take(bucket: usize, k0: u64, k1: u64, k2: u64, k3: u64, datagram: u64, now: u32, added: u32): usize {
  let taken: usize = 0;
  for (let way: usize = 0; way < <usize>FRAGMENTS_WAYS; way++) {
    const entry = bucket + (way << FRAGMENT_SHIFT);
    if (!sameKey(entry, k0, k1, k2, k3, datagram) || !lock(entry)) continue;
    // It may have become another's before the lock.
    const same = sameKey(entry, k0, k1, k2, k3, datagram);
    if (same && taken == 0) taken = entry;
    else {
      if (same) atomic.store<u32>(entry, 0, FRAGMENT_EXPIRY);
      unlock(entry);
    }
  }
  for (let tries = 0; taken == 0 && tries < FRAGMENTS_WAYS; tries++) {
    let oldest: usize = 0;
    let age: u64 = 0;
    for (let way: usize = 0; way < <usize>FRAGMENTS_WAYS; way++) {
      const entry = bucket + (way << FRAGMENT_SHIFT);
      if (atomic.load<u32>(entry, FRAGMENT_SEQUENCE) & 1) continue;
      const over = atomic.load<u32>(entry, FRAGMENT_EXPIRY) <= now;
      const its = over ? (<u64>1) << 32 : <u64>(added - atomic.load<u32>(entry, FRAGMENT_ADDED)) + 1;
      if (its <= age) continue;
      age = its;
      oldest = entry;
    }
    if (oldest == 0) return 0;
    if (lock(oldest)) taken = oldest;
  }
  return taken;
}

// @ts-ignore: decorator
@inline function lock(entry: usize): bool {
  const sequence = atomic.load<u32>(entry, FRAGMENT_SEQUENCE);
  if (sequence & 1) return false;
  return atomic.cmpxchg<u32>(entry, sequence, sequence + 1, FRAGMENT_SEQUENCE) == sequence;
}
// @ts-ignore: decorator
@inline function unlock(entry: usize): void {
  atomic.store<u32>(entry, atomic.load<u32>(entry, FRAGMENT_SEQUENCE) + 1, FRAGMENT_SEQUENCE);
}
