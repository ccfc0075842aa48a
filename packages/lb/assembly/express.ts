/**
 * lb4-express: the way from the driver to the encap for packets of established flows, in one node. What ethernet-input,
 * ip4-input, ip4-lookup and a choosing node do, one packet and one node after the other, it does in four loops over the
 * vector: check headers, four at a time; hash; touch the sticky table's lines; look there. It takes whole TCP and UDP packets to
 * IPv4 VIPs, without options, not fragments, on interfaces without features, that the sticky table knows; all others it leaves
 * untouched to ethernet-input. (src/nodes/express.test.ts compares both ways.)
 */
import { fib4Lookup } from '@lbd/fib/assembly/fib4.ts';
import { firstWords, highPairs, isOther4, lengthOf4, lowPairs, secondWords } from '@lbd/fib/assembly/four.ts';
import { DPO_INDEX_MASK, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { dataOf, framesOf, hasFeatures, metadataOf, metaOf, nowOf, workerOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import {
  FRAME_SHIFT,
  INTERFACE_MAC,
  INTERFACE_SHIFT,
  MAX_INTERFACES,
  META_AS,
  META_DATA,
  META_DPO,
  META_HASH,
  META_L4,
  META_OPAQUE,
  META_RX,
  METADATA_SHIFT,
  NODE_DATA,
  WORKER_INTERFACES,
} from '@lbd/graph/src/layout.ts';
import { crcHash4To, flowKeyed, sipHash4 } from '@lbd/maglev/assembly/flow-hash.ts';
import { crcHashes, crcHashesFrom } from '@lbd/maglev/assembly/flow-hashes.ts';
import {
  ETHERNET_BYTES,
  ETHERNET_TYPE,
  IP4_BYTES,
  IP4_DESTINATION,
  IP4_PROTOCOL,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_BYTES,
  UDP_BYTES,
} from '@lbd/packet/src/layout.ts';
import {
  stickyAs,
  stickyBucketAt,
  stickyHits,
  stickyMask,
  stickyRefresh,
  stickyState,
  stickyTimeout,
  stickyTouchAll,
  stickyVips,
} from '@lbd/sticky/assembly/sticky.ts';
import * as E from '../src/express-layout.ts';
import {
  LB_HASH,
  LB_STICKY,
  VIP_COUNTER_EXISTING,
  VIP_MAX_LENGTH,
  VIP_MIN_TTL,
} from '../src/layout.ts';
import { addToCounter, encapSlot } from './flow.ts';
import { isBySource, vipOfPort, vipRecord } from './hash.ts';

/** EtherType of IPv4 as loaded, little-endian. */
const TYPE_IP4: u32 = 0x0008;
/** The six bytes of an address in the eight that are loaded. */
const MAC: u64 = 0xffffffffffff;
/** The bit of it that a group's address has set. */
const GROUP: u64 = 1;

export function lb4_express(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const data = node + NODE_DATA;
  const lb: usize = load<u32>(data, E.EXPRESS_LB);
  const buffers = data + E.EXPRESS_BUFFERS;
  const bytes = <usize>count << 2;
  const last = load<u32>(vector + bytes - 4);
  memory.copy(buffers, vector, bytes);
  store<u64>(buffers + bytes, <u64>last | (<u64>last << 32));
  store<u32>(buffers + bytes, last, 8);
  prepare(node, data, lb, <usize>bytes);
  stickyTouchAll(load<u32>(lb, LB_STICKY), data + E.EXPRESS_HASHES, count);
  return take(node, data, lb, vector, bytes, nexts);
}

// ---- First: runs of usual packets to one VIP, and their hashes -----------------------------------------------------------

/** Splits the vector into runs. `end`: four times the packets; places in the vector are counted in bytes, too. */
function prepare(node: usize, data: usize, lb: usize, end: usize): void {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const runs = data + E.EXPRESS_RUNS;
  let run = runs;
  for (let at: usize = 0; at < end; run += E.RUN_BYTES) {
    let to = at;
    const few = <i32>((run - runs) / E.RUN_BYTES) < E.FREE_RUNS + <i32>(at >> 2) / E.PACKETS_PER_RUN;
    const vip = few ? startRun(node, data, lb, data + E.EXPRESS_BUFFERS + at, run) : 0;
    if (vip != 0) {
      to = min<usize>(checkRun(at, end, frames, metadata, data), end);
      if (to != at) hashRun(data, lb, vip, at, to);
    }
    if (to == at) {
      to = few ? at + 4 : end;
      store<u32>(run, 0, E.RUN_VIP);
    }
    store<u32>(run, <u32>to, E.RUN_END);
    at = to;
  }
}

/** Writes what packets like this one have in common to EXPRESS_MODEL. Returns their VIP; 0 if they are not for one. */
function startRun(node: usize, data: usize, lb: usize, at: usize, run: usize): u32 {
  const buffer: usize = load<u32>(at);
  const meta = metaOf(metadataOf(node), buffer);
  const ethernet = dataOf(framesOf(node), buffer, meta);
  const rx = load<u32>(meta, META_RX);
  // an interface, and no flags behind it
  if (rx >= <u32>MAX_INTERFACES || hasFeatures(node, rx)) return 0;
  if (load<u16>(ethernet, ETHERNET_TYPE) != TYPE_IP4) return 0;
  const ip = ethernet + ETHERNET_BYTES;
  const protocol: u32 = load<u8>(ip, IP4_PROTOCOL);
  if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) return 0;
  const dpo = fib4Lookup(load<u32>(data, E.EXPRESS_FIB), ip + IP4_DESTINATION);
  const perPort = dpo >> DPO_SHIFT == load<u32>(data, E.EXPRESS_PER_PORT);
  if (!perPort && dpo >> DPO_SHIFT != load<u32>(data, E.EXPRESS_ALL_PORTS)) return 0;
  const ports = load<u32>(ip, IP4_BYTES);
  const vip = perPort ? vipOfPort(lb, dpo & DPO_INDEX_MASK, protocol, ports >>> 16) : dpo & DPO_INDEX_MASK;
  if (vip == 0) return 0;
  const record = vipRecord(lb, vip);
  const least = <u32>IP4_BYTES + (protocol == PROTOCOL_TCP ? TCP_BYTES : UDP_BYTES);
  const most: u32 = load<u16>(record, VIP_MAX_LENGTH);
  if (most < least) return 0;
  store<u32>(run, vip, E.RUN_VIP);
  store<u32>(run, dpo, E.RUN_DPO);
  store<u32>(run, IP4_BYTES | (protocol << 16), E.RUN_L4);

  const model = data + E.EXPRESS_MODEL;
  const mac = load<u64>(<usize>load<u32>(workerOf(node), WORKER_INTERFACES) + (<usize>rx << INTERFACE_SHIFT), INTERFACE_MAC) & MAC;
  // an interface without a MAC address (a capture file) takes all that are not a group's
  store<u64>(model, mac, E.MODEL_ETHERNET);
  store<u64>(model, <u64>TYPE_IP4 << 32, E.MODEL_ETHERNET + 8);
  store<u64>(model, mac == 0 ? GROUP : MAC, E.MODEL_ETHERNET_MASK);
  store<u64>(model, <u64>0xffff << 32, E.MODEL_ETHERNET_MASK + 8);
  v128.store(model, i32x4.splat(rx), E.MODEL_RX);
  v128.store(model, i32x4.splat(protocol << 8), E.MODEL_PROTOCOL);
  v128.store(model, i32x4.splat(load<u32>(ip, IP4_DESTINATION)), E.MODEL_DESTINATION);
  v128.store(model, i32x4.splat(ports), E.MODEL_PORTS);
  v128.store(model, i32x4.splat(perPort ? 0xffff0000 : 0), E.MODEL_PORTS_MASK);
  v128.store(model, i32x4.splat(isBySource(record) ? 0 : -1), E.MODEL_PORTS_HASHED);
  // ip4-input refuses a TTL of 0
  v128.store(model, i32x4.splat(max<u32>(load<u8>(record, VIP_MIN_TTL), 1)), E.MODEL_TTL);
  v128.store(model, i32x4.splat(least), E.MODEL_LEAST);
  v128.store(model, i32x4.splat(most), E.MODEL_MOST);
  return vip;
}

/**
 * Passes packets that are as the model, four at a time; returns the place of the first that is not, which may lie behind
 * the end. For the others, sources, ports and places are written.
 */
function checkRun(at: usize, end: usize, frames: usize, metadata: usize, data: usize): usize {
  const model = data + E.EXPRESS_MODEL;
  const ethernet = v128.load(model, E.MODEL_ETHERNET);
  const ethernetMask = v128.load(model, E.MODEL_ETHERNET_MASK);
  const rx = v128.load(model, E.MODEL_RX);
  const protocol = v128.load(model, E.MODEL_PROTOCOL);
  const destination = v128.load(model, E.MODEL_DESTINATION);
  const ports = v128.load(model, E.MODEL_PORTS);
  const portsMask = v128.load(model, E.MODEL_PORTS_MASK);
  const portsHashed = v128.load(model, E.MODEL_PORTS_HASHED);
  const ttl = v128.load(model, E.MODEL_TTL);
  const least = v128.load(model, E.MODEL_LEAST);
  const most = v128.load(model, E.MODEL_MOST);
  const half = i32x4.splat(0xffff);
  for (let words = data + at; at < end; at += 16, words += 16) {
    const buffers = v128.load(words, E.EXPRESS_BUFFERS);
    const ma = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 0) << METADATA_SHIFT), META_DATA);
    const mb = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 1) << METADATA_SHIFT), META_DATA);
    const mc = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 2) << METADATA_SHIFT), META_DATA);
    const md = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 3) << METADATA_SHIFT), META_DATA);
    const mab = lowPairs(ma, mb);
    const mcd = lowPairs(mc, md);
    // META_DATA and META_LENGTH, then META_RX and META_FLAGS
    const places = firstWords(mab, mcd);
    let other = v128.xor(secondWords(mab, mcd), rx);
    const offset = v128.and(places, half);
    const starts = i32x4.add(i32x4.add(i32x4.shl(buffers, FRAME_SHIFT), i32x4.splat(<u32>frames)), offset);
    const a: usize = i32x4.extract_lane(starts, 0);
    const b: usize = i32x4.extract_lane(starts, 1);
    const c: usize = i32x4.extract_lane(starts, 2);
    const d: usize = i32x4.extract_lane(starts, 3);
    const ea = v128.xor(v128.load(a), ethernet);
    const eb = v128.xor(v128.load(b), ethernet);
    const ec = v128.xor(v128.load(c), ethernet);
    const ed = v128.xor(v128.load(d), ethernet);
    const otherFrame = v128.and(v128.or(v128.or(ea, eb), v128.or(ec, ed)), ethernetMask);
    const ha = v128.load(a, ETHERNET_BYTES);
    const hb = v128.load(b, ETHERNET_BYTES);
    const hc = v128.load(c, ETHERNET_BYTES);
    const hd = v128.load(d, ETHERNET_BYTES);
    const lowAb = lowPairs(ha, hb);
    const lowCd = lowPairs(hc, hd);
    const highAb = highPairs(ha, hb);
    const highCd = highPairs(hc, hd);
    const w0 = firstWords(lowAb, lowCd);
    const w2 = firstWords(highAb, highCd);
    const source = secondWords(highAb, highCd);
    // destination and ports
    const tab = lowPairs(
      v128.load64_zero(a, ETHERNET_BYTES + IP4_DESTINATION),
      v128.load64_zero(b, ETHERNET_BYTES + IP4_DESTINATION),
    );
    const tcd = lowPairs(
      v128.load64_zero(c, ETHERNET_BYTES + IP4_DESTINATION),
      v128.load64_zero(d, ETHERNET_BYTES + IP4_DESTINATION),
    );
    const pairs = secondWords(tab, tcd);
    other = v128.or(other, isOther4(w0, secondWords(lowAb, lowCd), w2, source, destination));
    other = v128.or(other, v128.xor(firstWords(tab, tcd), destination));
    other = v128.or(other, v128.and(v128.xor(pairs, ports), portsMask));
    other = v128.or(other, v128.and(v128.xor(w2, protocol), i32x4.splat(0xff00)));
    other = v128.or(other, i32x4.gt_s(ttl, v128.and(w2, i32x4.splat(0xff))));
    const length = lengthOf4(w0);
    other = v128.or(other, i32x4.gt_s(least, length));
    other = v128.or(other, i32x4.gt_s(length, most));
    other = v128.or(other, i32x4.gt_s(i32x4.add(length, i32x4.splat(ETHERNET_BYTES)), i32x4.shr_u(places, 16)));
    v128.store(words, v128.or(i32x4.add(offset, i32x4.splat(ETHERNET_BYTES)), i32x4.shl(length, 16)), E.EXPRESS_PLACES);
    v128.store(words, source, E.EXPRESS_SOURCES);
    v128.store(words, v128.and(pairs, portsHashed), E.EXPRESS_PORTS);
    if (!v128.any_true(v128.or(other, otherFrame))) continue;
    let bits = i32x4.bitmask(i32x4.ne(other, i32x4.splat(0)));
    bits |= <i32>v128.any_true(v128.and(ea, ethernetMask)) | (<i32>v128.any_true(v128.and(eb, ethernetMask)) << 1);
    bits |= (<i32>v128.any_true(v128.and(ec, ethernetMask)) << 2) | (<i32>v128.any_true(v128.and(ed, ethernetMask)) << 3);
    return at + (<usize>ctz(bits) << 2);
  }
  return at;
}

/** The flow hashes of packets to one VIP. */
function hashRun(data: usize, lb: usize, vip: u32, from: usize, to: usize): void {
  const flow: usize = load<u32>(lb, LB_HASH);
  const model = data + E.EXPRESS_MODEL;
  const sources = data + E.EXPRESS_SOURCES + from;
  const ports = data + E.EXPRESS_PORTS + from;
  const hashes = data + E.EXPRESS_HASHES + from;
  const destination = load<u32>(model, E.MODEL_DESTINATION);
  const count = <i32>((to - from) >> 2);
  if (flowKeyed(flow)) keyedHashes(flow, sources, ports, hashes, count, destination);
  else if (load<u32>(model, E.MODEL_PORTS_MASK) == 0 && load<u32>(model, E.MODEL_PORTS_HASHED) != 0) {
    crcHashes(flow, sources, ports, hashes, count, crcHash4To(flow, destination, 0));
  } else {
    const port = (load<u32>(model, E.MODEL_PORTS) & load<u32>(model, E.MODEL_PORTS_HASHED)) >>> 16;
    crcHashesFrom(flow, sources, ports, hashes, count, crcHash4To(flow, destination, port));
  }
}

function keyedHashes(flow: usize, sources: usize, ports: usize, hashes: usize, count: i32, destination: u32): void {
  const high = <u64>destination << 32;
  for (const end = hashes + (<usize>count << 2); hashes < end; hashes += 4, sources += 4, ports += 4) {
    store<u32>(hashes, sipHash4(flow, <u64>load<u32>(sources) | high, load<u32>(ports)));
  }
}

// ---- Then: servers -------------------------------------------------------------------------------------------------------

/** Gives the packets that the sticky table knows their servers; says where all go. */
function take(node: usize, data: usize, lb: usize, vector: usize, end: usize, nexts: usize): i32 {
  const metadata = metadataOf(node);
  const now = nowOf(node);
  let any: u32 = 0;
  let all: u32 = ALL;
  let run = data + E.EXPRESS_RUNS;
  for (let from: usize = 0; from < end; run += E.RUN_BYTES) {
    const to: usize = load<u32>(run, E.RUN_END);
    const vip = load<u32>(run, E.RUN_VIP);
    while (from < to) {
      let at = from;
      let slot: u32 = E.EXPRESS_NEXT_ORDINARY;
      if (vip != 0) at = existing(from, to, vector, metadata, lb, data, run, now);
      if (at == from) at = vip == 0 ? to : at + 4;
      else {
        slot = encapSlot(node, vipRecord(lb, vip));
        addToCounter(lb, vip, VIP_COUNTER_EXISTING, <u32>(at - from) >> 2);
      }
      if (from != 0 || at != end) sendRun(nexts, vector, vector + from, vector + at, slot);
      any |= slot;
      all &= slot;
      from = at;
    }
  }
  return allRuns(any, all);
}

/** Writes the metadata that the choosing node would have, until a packet comes whose flow the sticky table does not know. */
function existing(
  at: usize,
  end: usize,
  vector: usize,
  metadata: usize,
  lb: usize,
  data: usize,
  run: usize,
  now: u32,
): usize {
  const sticky: usize = load<u32>(lb, LB_STICKY);
  const mask = stickyMask(sticky);
  const expiry = now + stickyTimeout(sticky);
  const vips = stickyVips(load<u32>(run, E.RUN_VIP));
  const nows = i32x4.splat(now);
  const dpo = load<u32>(run, E.RUN_DPO);
  const l4 = load<u32>(run, E.RUN_L4);
  for (let words = data + at; at < end; at += 4, words += 4) {
    const hash = load<u32>(words, E.EXPRESS_HASHES);
    const bucket = stickyBucketAt(sticky, mask, hash);
    const hits = stickyHits(bucket, hash, vips, nows);
    if (hits == 0) break;
    const slot = ctz(hits);
    const meta = metaOf(metadata, load<u32>(words, E.EXPRESS_BUFFERS));
    stickyRefresh(bucket, slot, expiry);
    store<u32>(meta, load<u32>(words, E.EXPRESS_PLACES), META_DATA);
    store<u32>(meta, dpo, META_DPO);
    store<u32>(meta, hash, META_HASH);
    store<u32>(meta, stickyAs(bucket, slot), META_AS);
    store<u32>(meta, l4, META_L4);
    store<u32>(meta, stickyState(bucket, slot), META_OPAQUE);
  }
  return at;
}
