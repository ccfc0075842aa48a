/**
 * lb-fragments: sends later fragments after the first of their datagram. One that came before the first waits, by lb-fragments-hold,
 * and comes back by lb-fragments-release.
 */
import { askIcmpError } from '@lbd/fib/assembly/icmp-error.ts';
import {
  bufferAt,
  count,
  dataOf,
  framesOf,
  freeBuffer,
  metadataOf,
  metaOf,
  nowOf,
  reason,
  workerOf,
} from '@lbd/graph/assembly/abi.ts';
import { countReason } from '@lbd/graph/assembly/drop.ts';
import {
  FLAG_TRACED,
  META_AS,
  META_DPO,
  META_FLAGS,
  META_HASH,
  META_LENGTH,
  META_OPAQUE,
  MIXED,
  NODE_DATA,
  WORKER_HELD,
  WORKER_NOW_MS,
} from '@lbd/graph/src/layout.ts';
import {
  ICMP4_FRAGMENTATION_NEEDED,
  ICMP4_TIME_EXCEEDED,
  ICMP4_UNREACHABLE,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_TIME_EXCEEDED,
  IP4_DF,
  IP4_FRAGMENT,
  IP4_TTL,
  IP6_HOP_LIMIT,
} from '@lbd/packet/src/layout.ts';
import {
  FRAGMENT_OVERDUE,
  FRAGMENTS_COUNT_FRAGMENTED,
  FRAGMENTS_COUNT_LEFT,
  FRAGMENTS_COUNT_NOT_FRAGMENTED,
  FRAGMENTS_COUNT_OVERLAPPING,
  FRAGMENTS_COUNT_TOO_BIG,
  FRAGMENTS_COUNT_TTL_EXPIRED,
  FRAGMENTS_COUNT_UNKNOWN,
  FRAGMENTS_NEXT_DROP,
  FRAGMENTS_NEXT_FRAG,
  FRAGMENTS_NEXT_HOLD,
  FRAGMENTS_NEXT_ICMP4_ERROR,
  FRAGMENTS_NEXT_ICMP6_ERROR,
  FRAGMENTS_NEXT_PUNT,
  HELD_BUDGET,
  HELD_BUFFER,
  HELD_BYTES,
  HELD_COUNT,
  HELD_CURSOR,
  HELD_DEADLINE,
  HELD_MS,
  HELD_NODE_MS,
  HELD_ROUND,
  HELD_SEEN,
  HELD_SHIFT,
  HELD_SLOTS,
  HELD_TAIL,
} from '../src/fragment-layout.ts';
import {
  AS_MAX_LENGTH,
  AS_SHIFT,
  AS_VIP,
  LB_FLAGS,
  LB_FRAGMENT,
  LB_SERVERS,
  NODE_PORT_GROUP4,
  NODE_PORT_GROUP6,
  VIP_COUNTER_UNTRACKED,
  VIP_MIN_TTL,
} from '../src/layout.ts';
import { addToCounter, encapSlot, takeKnown } from './flow.ts';
import { choiceHash, choiceServer, findChoice, fragmentsAdded, isOverlapping } from './fragments.ts';
import { vipRecord } from './hash.ts';

/** Both families. */
export function lb_fragments(node: usize, vector: usize, n: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const lb: usize = load<u32>(node, NODE_DATA);
  for (let i = 0; i < n; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    store<u16>(nexts + (<usize>i << 1), follow(node, lb, dataOf(frames, buffer, meta), meta));
  }
  return MIXED;
}

/** Gives a later fragment the server of its datagram; returns its next slot. */
function follow(node: usize, lb: usize, ip: usize, meta: usize): u32 {
  if (isOverlapping(ip, meta)) return give(node, meta, FRAGMENTS_COUNT_OVERLAPPING, FRAGMENTS_NEXT_DROP);
  const now = nowOf(node);
  const choice = findChoice(lb, ip, meta, now);
  store<u32>(meta, 0, META_AS);
  if (choice == 0) {
    if (load<u32>(meta, META_OPAQUE) != FRAGMENT_OVERDUE) return FRAGMENTS_NEXT_HOLD;
    if (isForNodePort(meta)) return give(node, meta, FRAGMENTS_COUNT_LEFT, FRAGMENTS_NEXT_PUNT);
    return give(node, meta, FRAGMENTS_COUNT_UNKNOWN, FRAGMENTS_NEXT_DROP);
  }
  const server = choiceServer(choice);
  if (server == 0) return give(node, meta, FRAGMENTS_COUNT_LEFT, FRAGMENTS_NEXT_PUNT);
  const servers: usize = load<u32>(lb, LB_SERVERS);
  const vip = load<u32>(servers + (<usize>server << AS_SHIFT), AS_VIP);
  store<u32>(meta, choiceHash(choice), META_HASH);
  store<u32>(meta, server, META_AS);
  // The flow may be untracked, or another worker's.
  const known = takeKnown(node, lb, meta, vip, true);
  if (!known) addToCounter(lb, vip, VIP_COUNTER_UNTRACKED, 1);
  const record = vipRecord(lb, vip);
  const instead = beyondLimits(node, lb, ip, meta, record, servers + (<usize>load<u32>(meta, META_AS) << AS_SHIFT));
  if (instead >= 0) return <u32>instead;
  if (!known) store<u32>(meta, 0, META_OPAQUE);
  return encapSlot(node, record);
}

// @ts-ignore: decorator
@inline function give(node: usize, meta: usize, counter: u32, slot: u32): u32 {
  reason(node, meta, counter);
  return slot;
}
// @ts-ignore: decorator
@inline function isForNodePort(meta: usize): bool {
  const group = load<u32>(meta, META_DPO) & 0xffffff;
  return group == NODE_PORT_GROUP4 || group == NODE_PORT_GROUP6;
}

/** Slot of a packet that may not be sent on to its server as it is, else -1. */
function beyondLimits(node: usize, lb: usize, ip: usize, meta: usize, vip: usize, server: usize): i32 {
  const four = load<u8>(ip) >> 4 == 4;
  const error = four ? FRAGMENTS_NEXT_ICMP4_ERROR : FRAGMENTS_NEXT_ICMP6_ERROR;
  const ttl = four ? load<u8>(ip, IP4_TTL) : load<u8>(ip, IP6_HOP_LIMIT);
  if (ttl < load<u8>(vip, VIP_MIN_TTL)) {
    askIcmpError(meta, four ? ICMP4_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED, 0, 0);
    return give(node, meta, FRAGMENTS_COUNT_TTL_EXPIRED, error);
  }
  const most: u32 = load<u16>(server, AS_MAX_LENGTH);
  if (<u32>load<u16>(meta, META_LENGTH) <= most) return -1;
  if (!four || <u32>bswap<u16>(load<u16>(ip, IP4_FRAGMENT)) & IP4_DF) {
    if (four) askIcmpError(meta, ICMP4_UNREACHABLE, ICMP4_FRAGMENTATION_NEEDED, most);
    else askIcmpError(meta, ICMP6_PACKET_TOO_BIG, 0, most);
    return give(node, meta, FRAGMENTS_COUNT_TOO_BIG, error);
  }
  if (!(load<u32>(lb, LB_FLAGS) & LB_FRAGMENT)) return give(node, meta, FRAGMENTS_COUNT_NOT_FRAGMENTED, FRAGMENTS_NEXT_DROP);
  count(node, FRAGMENTS_COUNT_FRAGMENTED, 1);
  store<u32>(meta, most, META_OPAQUE);
  // as tooBig() of special.ts: a reason for ip4-frag, should it fail
  reason(node, meta, FRAGMENTS_COUNT_TOO_BIG);
  return FRAGMENTS_NEXT_FRAG;
}

// ---- Waiting -------------------------------------------------------------------------------------------------------------
// A ring whose places are free again when their fragment has gone, so that what is in the way of a new one is the oldest.

/** Keeps fragments whose datagram is not known yet. With no room the oldest is dropped. Data: HELD_ words' address. */
export function lb_fragments_hold(node: usize, vector: usize, n: i32, nexts: usize): i32 {
  const worker = workerOf(node);
  const metadata = metadataOf(node);
  const held: usize = load<u32>(node, NODE_DATA);
  const now = load<u32>(worker, WORKER_NOW_MS);
  for (let i = 0; i < n; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const tail = load<u32>(held, HELD_TAIL);
    const slot = slotAt(held, tail);
    const before: usize = load<u32>(slot, HELD_BUFFER);
    if (before != 0) {
      const oldest = metaOf(metadata, before - 1);
      reason(node, oldest, 0);
      countReason(worker, oldest);
      freeBuffer(worker, before - 1);
      keeps(worker, held, -1);
    }
    // Its trace ends here: it comes back as if from outside.
    store<u16>(meta, load<u16>(meta, META_FLAGS) & ~FLAG_TRACED, META_FLAGS);
    store<u32>(slot, <u32>buffer + 1, HELD_BUFFER);
    store<u32>(slot, now + (isForNodePort(meta) ? HELD_NODE_MS : HELD_MS), HELD_DEADLINE);
    store<u32>(held, (tail + 1) & (HELD_SLOTS - 1), HELD_TAIL);
    keeps(worker, held, 1);
  }
  return 0;
}

/**
 * Polled: gives back those whose datagram is known now, or that have waited long enough (META_OPAQUE FRAGMENT_OVERDUE). It looks at
 * HELD_BUDGET places in a breath, and at the table only if something was remembered since it last went round. Data: the
 * worker's block, HELD_ words' address.
 */
export function lb_fragments_release(node: usize, vector: usize, room: i32, nexts: usize): i32 {
  const held: usize = load<u32>(node, NODE_DATA + 4);
  if (load<u32>(held, HELD_COUNT) == 0) return 0;
  const lb: usize = load<u32>(node, NODE_DATA);
  const worker = workerOf(node);
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const now = load<u32>(worker, WORKER_NOW_MS);
  const added = fragmentsAdded(lb);
  const seen = load<u32>(held, HELD_SEEN);
  let cursor = load<u32>(held, HELD_CURSOR);
  let n = 0;
  for (let i = 0; i < HELD_BUDGET && n < room; i++) {
    if (cursor == 0) store<u32>(held, added, HELD_ROUND);
    const slot = slotAt(held, cursor);
    const buffer: usize = load<u32>(slot, HELD_BUFFER);
    if (buffer != 0) {
      const meta = metaOf(metadata, buffer - 1);
      const overdue = <i32>(now - load<u32>(slot, HELD_DEADLINE)) >= 0;
      const known = added != seen && findChoice(lb, dataOf(frames, buffer - 1, meta), meta, nowOf(node)) != 0;
      if (overdue || known) {
        store<u32>(slot, 0, HELD_BUFFER);
        keeps(worker, held, -1);
        store<u32>(meta, overdue ? FRAGMENT_OVERDUE : 0, META_OPAQUE);
        store<u32>(vector + (<usize>n << 2), <u32>buffer - 1);
        n++;
      }
    }
    cursor = (cursor + 1) & (HELD_SLOTS - 1);
    if (cursor == 0) store<u32>(held, load<u32>(held, HELD_ROUND), HELD_SEEN);
  }
  store<u32>(held, cursor, HELD_CURSOR);
  return n;
}

// @ts-ignore: decorator
@inline function slotAt(held: usize, place: u32): usize {
  return held + HELD_BYTES + (<usize>place << HELD_SHIFT);
}
// @ts-ignore: decorator
@inline function keeps(worker: usize, held: usize, more: i32): void {
  store<u32>(held, load<u32>(held, HELD_COUNT) + more, HELD_COUNT);
  store<u32>(worker, load<u32>(worker, WORKER_HELD) + more, WORKER_HELD);
}
