/** Which packets of a vector are usual replies over IPv4, for in2out-express.ts: headers are checked four at a time. */
import { adjacencyOf } from '@lbd/fib/assembly/dpo.ts';
import { fib4Lookup } from '@lbd/fib/assembly/fib4.ts';
import {
  badChecksum4,
  badSource4,
  biasedHalves,
  firstWords,
  fourConstants,
  highPairs,
  lengthOf4,
  lowPairs,
  secondWords,
} from '@lbd/fib/assembly/four.ts';
import {
  DPO_ADJACENCY4,
  DPO_SHIFT,
  FOUR_BIAS,
  FOUR_BYTE,
  FOUR_HALF,
  FOUR_HIGH_BYTE,
  FOUR_LOOPBACK,
  FOUR_ONES,
  FOUR_UNICAST,
} from '@lbd/fib/src/layout.ts';
import { dataOf } from '@lbd/graph/assembly/abi.ts';
import { FRAME_SHIFT, META_DATA, METADATA_SHIFT } from '@lbd/graph/src/layout.ts';
import { modelEthernet } from '@lbd/lb/assembly/express-model.ts';
import { MODEL_ETHERNET, MODEL_ETHERNET_MASK } from '@lbd/lb/src/express-layout.ts';
import {
  ETHERNET_BYTES,
  ETHERNET_TYPE,
  IP4_BYTES,
  IP4_DESTINATION,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_BYTES,
  UDP_BYTES,
} from '@lbd/packet/src/layout.ts';
import * as E from '../src/express-layout.ts';
import { HINT_SHIFT } from '../src/layout.ts';
import { replyFactor0, replyFactor1, replyHashes4 } from './reply-hash.ts';

/** EtherType of IPv4 as loaded, little-endian. */
const TYPE_IP4: u32 = 0x0008;

/** True if the packet is IPv4, to a destination behind a next hop. */
export function isForNextHop4(frames: usize, buffer: usize, meta: usize, fib: usize): bool {
  const ethernet = dataOf(frames, buffer, meta);
  if (load<u16>(ethernet, ETHERNET_TYPE) != TYPE_IP4) return false;
  return fib4Lookup(fib, ethernet + ETHERNET_BYTES + IP4_DESTINATION) >> DPO_SHIFT == DPO_ADJACENCY4;
}

/** Writes what usual packets of an interface have in common. */
export function modelRun4(node: usize, data: usize, rx: u32): void {
  const model = data + E.REPLY_MODEL;
  modelEthernet(node, model, rx, TYPE_IP4, 0xffff);
  v128.store(model, i32x4.splat(rx), E.MODEL_RX);
  fourConstants(model + E.MODEL_FOUR);
  v128.store(model, i32x4.splat(0x45), E.MODEL_VERSION);
  v128.store(model, i32x4.splat(0xff3f0000), E.MODEL_FRAGMENT);
  v128.store(model, i32x4.splat(10 * 0x8000), E.MODEL_SUM);
  v128.store(model, i32x4.splat(PROTOCOL_TCP << 8), E.MODEL_TCP);
  v128.store(model, i32x4.splat(PROTOCOL_UDP << 8), E.MODEL_UDP);
}

/**
 * Says which packets that came in on the interface of the model are usual, four at a time, and what further loops want of
 * them; returns the place of the first that came in on another, which may lie behind the end.
 */
export function checkRun4(at: usize, end: usize, frames: usize, metadata: usize, data: usize, hints: usize, mask: u32): usize {
  const model = data + E.REPLY_MODEL;
  const ethernet = v128.load(model, MODEL_ETHERNET);
  const ethernetMask = v128.load(model, MODEL_ETHERNET_MASK);
  const rx = v128.load(model, E.MODEL_RX);
  const half = v128.load(model, E.MODEL_FOUR + FOUR_HALF);
  const byte = v128.load(model, E.MODEL_FOUR + FOUR_BYTE);
  const highByte = v128.load(model, E.MODEL_FOUR + FOUR_HIGH_BYTE);
  const version = v128.load(model, E.MODEL_VERSION);
  const fragment = v128.load(model, E.MODEL_FRAGMENT);
  const bias = v128.load(model, E.MODEL_FOUR + FOUR_BIAS);
  const ones = v128.load(model, E.MODEL_FOUR + FOUR_ONES);
  const rest = v128.load(model, E.MODEL_SUM);
  const loopback = v128.load(model, E.MODEL_FOUR + FOUR_LOOPBACK);
  const unicast = v128.load(model, E.MODEL_FOUR + FOUR_UNICAST);
  const ofTcp = v128.load(model, E.MODEL_TCP);
  const ofUdp = v128.load(model, E.MODEL_UDP);
  const zero = i32x4.splat(0);
  const base = i32x4.splat(<u32>frames);
  const ethernetBytes = i32x4.splat(ETHERNET_BYTES);
  const leastUdp = i32x4.splat(IP4_BYTES + UDP_BYTES);
  const moreOfTcp = i32x4.splat(TCP_BYTES - UDP_BYTES);
  const m0 = replyFactor0();
  const m1 = replyFactor1();
  const masks = i32x4.splat(mask);
  const buckets = i32x4.splat(<u32>hints);
  for (let words = data + at; at < end; at += 16, words += 16) {
    const buffers = v128.load(words, E.REPLY_BUFFERS);
    const ma = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 0) << METADATA_SHIFT), META_DATA);
    const mb = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 1) << METADATA_SHIFT), META_DATA);
    const mc = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 2) << METADATA_SHIFT), META_DATA);
    const md = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 3) << METADATA_SHIFT), META_DATA);
    const mab = lowPairs(ma, mb);
    const mcd = lowPairs(mc, md);
    // META_DATA and META_LENGTH, then META_RX and META_FLAGS
    const places = firstWords(mab, mcd);
    const otherRx = v128.xor(secondWords(mab, mcd), rx);
    const offset = v128.and(places, half);
    const starts = i32x4.add(i32x4.add(i32x4.shl(buffers, FRAME_SHIFT), base), offset);
    v128.store(words, starts, E.REPLY_FRAMES);
    const a: usize = i32x4.extract_lane(starts, 0);
    const b: usize = i32x4.extract_lane(starts, 1);
    const c: usize = i32x4.extract_lane(starts, 2);
    const d: usize = i32x4.extract_lane(starts, 3);
    const ha = v128.load(a, ETHERNET_BYTES);
    const hb = v128.load(b, ETHERNET_BYTES);
    const hc = v128.load(c, ETHERNET_BYTES);
    const hd = v128.load(d, ETHERNET_BYTES);
    const lowAb = lowPairs(ha, hb);
    const lowCd = lowPairs(hc, hd);
    const highAb = highPairs(ha, hb);
    const highCd = highPairs(hc, hd);
    const w0 = firstWords(lowAb, lowCd);
    const w1 = secondWords(lowAb, lowCd);
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
    const destination = firstWords(tab, tcd);
    const protocol = v128.and(w2, highByte);
    const hashes = replyHashes4(i32x4.shr_u(protocol, 8), destination, secondWords(tab, tcd), source, m0, m1);
    v128.store(words, destination, E.REPLY_DESTINATIONS);
    v128.store(words, hashes, E.REPLY_HASHES);
    v128.store(words, i32x4.add(i32x4.shl(v128.and(hashes, masks), HINT_SHIFT), buckets), E.REPLY_FOUND);

    // A word for each packet, that is not zero if it is not usual.
    let other = v128.or(otherRx, v128.and(v128.xor(w0, version), byte));
    other = v128.or(other, v128.and(w1, fragment));
    const last = i32x4.add(biasedHalves(destination, bias, ones), rest);
    other = v128.or(other, badChecksum4(w0, w1, w2, source, last, bias, ones, half));
    other = v128.or(other, badSource4(source, byte, unicast, loopback));
    // a TTL of 0 or 1
    other = v128.or(other, i32x4.eq(i32x4.shr_u(i32x4.shl(w2, 24), 25), zero));
    const tcp = i32x4.eq(protocol, ofTcp);
    const length = lengthOf4(w0, highByte);
    const framed = i32x4.add(length, ethernetBytes);
    other = v128.or(other, i32x4.gt_s(i32x4.add(leastUdp, v128.and(tcp, moreOfTcp)), length));
    other = v128.or(other, i32x4.gt_s(framed, i32x4.shr_u(places, 16)));
    const ea = v128.xor(v128.load(a), ethernet);
    const eb = v128.xor(v128.load(b), ethernet);
    const ec = v128.xor(v128.load(c), ethernet);
    const ed = v128.xor(v128.load(d), ethernet);
    if (v128.any_true(v128.and(v128.or(v128.or(ea, eb), v128.or(ec, ed)), ethernetMask))) {
      const ab = bothHalves(v128.and(ea, ethernetMask), v128.and(eb, ethernetMask));
      const cd = bothHalves(v128.and(ec, ethernetMask), v128.and(ed, ethernetMask));
      other = v128.or(other, v128.or(firstWords(ab, cd), secondWords(ab, cd)));
    }
    const known = v128.or(tcp, i32x4.eq(protocol, ofUdp));
    v128.store(words, v128.and(i32x4.eq(other, zero), known), E.REPLY_USUAL);
    v128.store(words, v128.or(offset, i32x4.shl(framed, 16)), E.REPLY_PLACES);
    if (v128.any_true(otherRx)) return at + (<usize>ctz(i32x4.bitmask(i32x4.ne(otherRx, zero))) << 2);
  }
  return at;
}
/** The words of two vectors, of each the first and third, and the second and fourth, or-ed. */
// @ts-ignore: decorator
@inline function bothHalves(a: v128, b: v128): v128 {
  return v128.or(lowPairs(a, b), highPairs(a, b));
}

/** Finds the adjacencies of destinations. Packets that have none are not usual. Returns 0 if no packet is. */
export function resolve4(data: usize, end: usize, fib: usize, adjacencies: usize): u32 {
  let some: u32 = 0;
  for (let words = data, last = data + end; words < last; words += 4) {
    const dpo = fib4Lookup(fib, words + E.REPLY_DESTINATIONS);
    const usual = dpo >> DPO_SHIFT == DPO_ADJACENCY4 ? load<u32>(words, E.REPLY_USUAL) : 0;
    store<u32>(words, <u32>adjacencyOf(adjacencies, dpo), E.REPLY_ADJACENCIES);
    store<u32>(words, usual, E.REPLY_USUAL);
    some |= usual;
  }
  return some;
}
