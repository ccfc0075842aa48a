/** Runs of usual packets to one IPv4 VIP, for express.ts: headers are checked and hashed four at a time. */
import { fib4Lookup } from '@lbd/fib/assembly/fib4.ts';
import {
  badChecksum4,
  badSource4,
  firstWords,
  fourConstants,
  highPairs,
  lengthOf4,
  lowPairs,
  secondWords,
} from '@lbd/fib/assembly/four.ts';
import {
  DPO_INDEX_MASK,
  DPO_SHIFT,
  FOUR_BIAS,
  FOUR_BYTE,
  FOUR_HALF,
  FOUR_HIGH_BYTE,
  FOUR_LOOPBACK,
  FOUR_ONES,
  FOUR_UNICAST,
} from '@lbd/fib/src/layout.ts';
import { dataOf, featureBit, featuresOf, framesOf, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { FRAME_SHIFT, MAX_INTERFACES, META_DATA, META_RX, METADATA_SHIFT } from '@lbd/graph/src/layout.ts';
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
import { stickyConstants, stickyHashes4, stickySeed4 } from '@lbd/sticky/assembly/hash.ts';
import { stickyMask, stickyTouch4, stickyTouchBase, stickyTouchMask } from '@lbd/sticky/assembly/sticky.ts';
import * as E from '../src/express-layout.ts';
import { LB_SECRET, VIP_MAX_LENGTH, VIP_MIN_TTL } from '../src/layout.ts';
import { TYPE_IP4, hasOthers, modelEthernet } from './express-model.ts';
import { isBySource, vipOfPort, vipRecord } from './hash.ts';

/** Writes what packets like this one have in common to EXPRESS_MODEL. Returns their VIP; 0 if they are not for one. */
export function startRun4(node: usize, data: usize, lb: usize, at: usize, run: usize): u32 {
  const buffer: usize = load<u32>(at);
  const meta = metaOf(metadataOf(node), buffer);
  const ethernet = dataOf(framesOf(node), buffer, meta);
  const rx = load<u32>(meta, META_RX);
  // an interface, and no flags behind it
  if (rx >= <u32>MAX_INTERFACES) return 0;
  const features = featuresOf(node, rx);
  if (hasOthers(node, features)) return 0;
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
  store<u32>(run, features & featureBit(node, E.STANDS_FOR_CHECKSUM), E.RUN_COMPLETES);
  store<u32>(run, IP4_BYTES | (protocol << 16), E.RUN_L4);

  const model = data + E.EXPRESS_MODEL;
  const destination = load<u32>(ip, IP4_DESTINATION);
  modelEthernet(node, model, rx, TYPE_IP4, 0xffff);
  // version and length of the header, without options; no fragment; the protocol
  v128.store(model, i32x4(0x45, 0, protocol << 8, 0), E.MODEL_HEADER);
  v128.store(model, i32x4(0xff, 0xff3f0000, 0xff00, 0), E.MODEL_HEADER_MASK);
  v128.store(model, i32x4.splat((destination >>> 16) + (destination & 0xffff) + 8 * 0x8000), E.MODEL_SUM);
  v128.store(model, i32x4.splat(destination), E.MODEL_DESTINATION);
  v128.store(model, i32x4.splat(ports), E.MODEL_PORTS);
  v128.store(model, i32x4.splat(perPort ? 0xffff0000 : 0), E.MODEL_PORTS_MASK);
  v128.store(model, i32x4.splat(rx), E.MODEL_RX);
  v128.store(model, i32x4.splat(isBySource(record) ? 0 : -1), E.MODEL_PORTS_HASHED);
  v128.store(model, i32x4.splat(stickySeed4(lb + LB_SECRET, destination)), E.MODEL_SEED);
  v128.store(model, i32x4.splat(ETHERNET_BYTES), E.MODEL_ETHERNET_BYTES);
  stickyConstants(model + E.MODEL_STICKY, lb + LB_SECRET);
  fourConstants(model + E.MODEL_FOUR);
  // ip4-input refuses a TTL of 0
  v128.store(model, i32x4.splat(max<u32>(load<u8>(record, VIP_MIN_TTL), 1)), E.MODEL_TTL);
  v128.store(model, i32x4.splat(least), E.MODEL_LEAST);
  v128.store(model, i32x4.splat(most), E.MODEL_MOST);
  return vip;
}

/**
 * Passes packets that are as the model, four at a time; returns the place of the first four of which one is not, which may lie
 * behind the end. For those that are, hashes and places are written, and their lines of the sticky table are touched.
 *
 * All constants are loaded before the loop, and each check ends in a branch of its own, after which V8 has nothing more to
 * keep: what it keeps on the stack are stores, too, and lines that are touched by stores come the faster the fewer other stores
 * there are. For the same reason it loads the headers twice.
 */
export function checkRun4(at: usize, end: usize, frames: usize, metadata: usize, data: usize, sticky: usize): usize {
  const model = data + E.EXPRESS_MODEL;
  const half = v128.load(model, E.MODEL_FOUR + FOUR_HALF);
  const ethernet = v128.load(model, E.MODEL_ETHERNET);
  const ethernetMask = v128.load(model, E.MODEL_ETHERNET_MASK);
  const rx = v128.load(model, E.MODEL_RX);
  const destination = v128.load(model, E.MODEL_DESTINATION);
  const ports = v128.load(model, E.MODEL_PORTS);
  const portsMask = v128.load(model, E.MODEL_PORTS_MASK);
  const header = v128.load(model, E.MODEL_HEADER);
  const headerMask = v128.load(model, E.MODEL_HEADER_MASK);
  const ttl = v128.load(model, E.MODEL_TTL);
  const byte = v128.load(model, E.MODEL_FOUR + FOUR_BYTE);
  const least = v128.load(model, E.MODEL_LEAST);
  const ethernetBytes = v128.load(model, E.MODEL_ETHERNET_BYTES);
  const most = v128.load(model, E.MODEL_MOST);
  const hashedPorts = v128.load(model, E.MODEL_PORTS_HASHED);
  const seeds = v128.load(model, E.MODEL_SEED);
  const bias = v128.load(model, E.MODEL_FOUR + FOUR_BIAS);
  const ones = v128.load(model, E.MODEL_FOUR + FOUR_ONES);
  const sum = v128.load(model, E.MODEL_SUM);
  const loopback = v128.load(model, E.MODEL_FOUR + FOUR_LOOPBACK);
  const unicast = v128.load(model, E.MODEL_FOUR + FOUR_UNICAST);
  const highByte = v128.load(model, E.MODEL_FOUR + FOUR_HIGH_BYTE);
  const keys = v128.load(model, E.MODEL_STICKY);
  const hashB = v128.load(model, E.MODEL_STICKY + 16);
  const mask = stickyMask(sticky);
  const table = i32x4.splat(<u32>stickyTouchBase(sticky, mask, data + E.EXPRESS_TOUCHED));
  const masks = i32x4.splat(stickyTouchMask(mask));
  const frames4 = i32x4.splat(<u32>frames);
  let words = data + at;
  for (const last = data + end; words < last; words += 16) {
    const buffers = v128.load(words, E.EXPRESS_BUFFERS);
    const ma = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 0) << METADATA_SHIFT), META_DATA);
    const mb = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 1) << METADATA_SHIFT), META_DATA);
    const mc = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 2) << METADATA_SHIFT), META_DATA);
    const md = v128.load64_zero(metadata + (<usize>i32x4.extract_lane(buffers, 3) << METADATA_SHIFT), META_DATA);
    const mab = lowPairs(ma, mb);
    const mcd = lowPairs(mc, md);
    // META_DATA and META_LENGTH, then META_RX and META_FLAGS
    const places = firstWords(mab, mcd);
    const starts = i32x4.add(i32x4.add(i32x4.shl(buffers, FRAME_SHIFT), frames4), v128.and(places, half));
    const a: usize = i32x4.extract_lane(starts, 0);
    const b: usize = i32x4.extract_lane(starts, 1);
    const c: usize = i32x4.extract_lane(starts, 2);
    const d: usize = i32x4.extract_lane(starts, 3);
    const ea = v128.xor(v128.load(a), ethernet);
    const eb = v128.xor(v128.load(b), ethernet);
    const ec = v128.xor(v128.load(c), ethernet);
    const ed = v128.xor(v128.load(d), ethernet);
    const otherFrame = v128.and(v128.or(v128.or(ea, eb), v128.or(ec, ed)), ethernetMask);
    if (v128.any_true(v128.or(otherFrame, v128.xor(secondWords(mab, mcd), rx)))) break;

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
    const otherPort = v128.and(v128.xor(pairs, ports), portsMask);
    if (v128.any_true(v128.or(v128.xor(firstWords(tab, tcd), destination), otherPort))) break;

    const otherHeader = v128.or(
      v128.or(v128.xor(v128.load(a, ETHERNET_BYTES), header), v128.xor(v128.load(b, ETHERNET_BYTES), header)),
      v128.or(v128.xor(v128.load(c, ETHERNET_BYTES), header), v128.xor(v128.load(d, ETHERNET_BYTES), header)),
    );
    if (v128.any_true(v128.and(otherHeader, headerMask))) break;

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
    let other = badChecksum4(w0, secondWords(lowAb, lowCd), w2, source, sum, bias, ones, half);
    other = v128.or(other, badSource4(source, byte, unicast, loopback));
    other = v128.or(other, i32x4.gt_s(ttl, v128.and(w2, byte)));
    const length = lengthOf4(w0, highByte);
    other = v128.or(other, i32x4.gt_s(least, length));
    const room = i32x4.sub(i32x4.shr_u(places, 16), ethernetBytes);
    other = v128.or(other, i32x4.gt_s(length, i32x4.min_s(most, room)));
    if (v128.any_true(other)) break;

    // not of v128.and(places, half) as above, which V8 would keep
    const offset = v128.and(i32x4.add(places, ethernetBytes), half);
    v128.store(words, v128.or(offset, i32x4.shl(length, 16)), E.EXPRESS_PLACES);
    const portsHashed = v128.and(pairs, hashedPorts);
    const hashes = stickyHashes4(seeds, source, portsHashed, keys, hashB);
    v128.store(words, hashes, E.EXPRESS_HASHES);
    stickyTouch4(table, masks, hashes);
  }
  return words - data;
}

/** checkRun4() of one packet. */
export function checkOne4(at: usize, frames: usize, metadata: usize, data: usize, sticky: usize): bool {
  const words = data + at;
  const spare: usize = E.EXPRESS_SPARE;
  v128.store(data + spare, v128.load32_splat(words, E.EXPRESS_BUFFERS), E.EXPRESS_BUFFERS);
  if (checkRun4(spare, spare + 16, frames, metadata, data, sticky) == spare) return false;
  store<u32>(words, load<u32>(data + spare, E.EXPRESS_PLACES), E.EXPRESS_PLACES);
  store<u32>(words, load<u32>(data + spare, E.EXPRESS_HASHES), E.EXPRESS_HASHES);
  return true;
}
