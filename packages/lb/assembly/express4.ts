/** Runs of usual packets to one IPv4 VIP, for express.ts: headers are checked four at a time, then hashed. */
import { fib4Lookup } from '@lbd/fib/assembly/fib4.ts';
import { firstWords, highPairs, isOther4, lengthOf4, lowPairs, secondWords } from '@lbd/fib/assembly/four.ts';
import { DPO_INDEX_MASK, DPO_SHIFT } from '@lbd/fib/src/layout.ts';
import { dataOf, framesOf, hasFeatures, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { FRAME_SHIFT, MAX_INTERFACES, META_DATA, META_RX, METADATA_SHIFT } from '@lbd/graph/src/layout.ts';
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
import * as E from '../src/express-layout.ts';
import { LB_HASH, VIP_MAX_LENGTH, VIP_MIN_TTL } from '../src/layout.ts';
import { modelEthernet } from './express-model.ts';
import { isBySource, vipOfPort, vipRecord } from './hash.ts';

/** EtherType of IPv4 as loaded, little-endian. */
const TYPE_IP4: u32 = 0x0008;

/** Writes what packets like this one have in common to EXPRESS_MODEL. Returns their VIP; 0 if they are not for one. */
export function startRun4(node: usize, data: usize, lb: usize, at: usize, run: usize): u32 {
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
  modelEthernet(node, model, rx, TYPE_IP4, 0xffff);
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
export function checkRun4(at: usize, end: usize, frames: usize, metadata: usize, data: usize): usize {
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
export function hashRun4(data: usize, lb: usize, from: usize, to: usize): void {
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

