/** Fragmentation (RFC 791, section 3.2). */
import {
  bufferAt,
  count as addTo,
  dataOf,
  framesOf,
  freeBuffer,
  metadataOf,
  metaOf,
  takeBuffer,
  workerOf,
} from '@lbd/graph/assembly/abi.ts';
import {
  FRAME_HEADROOM,
  FRAME_SHIFT,
  META_DATA,
  META_LENGTH,
  META_OPAQUE,
  META_RX,
  METADATA_BYTES,
  NODE_DATA,
  WORKER_FREE_COUNT,
} from '@lbd/graph/src/layout.ts';
import { fold, sumBytes } from '@lbd/packet/assembly/checksum.ts';
import {
  ETHERNET_BYTES,
  IP4_BYTES,
  IP4_CHECKSUM,
  IP4_DF,
  IP4_FRAGMENT,
  IP4_LENGTH,
  IP4_MF,
  IP4_MOST_BYTES,
  IP4_OFFSET_MASK,
  IP4_OPTION_COPIED,
  IP4_OPTION_END,
  IP4_OPTION_NOTHING,
} from '@lbd/packet/src/layout.ts';
import { FRAGMENTS_IN, FRAGMENTS_OUT, FRAGMENTS_RING, FRAGMENTS_ROOM } from '../src/layout.ts';
import {
  FRAG_DATAGRAMS,
  FRAG_FRAGMENTS,
  FRAG_NO_BUFFER,
  FRAG_NO_ROOM,
  FRAG_NOT_ALLOWED,
} from '../src/nodes/places.ts';
import { describe4 } from './ip4.ts';
import { MADE_AT } from './made.ts';

/** Cuts packets, frees their buffers. The node's data: address of the ring that the fragments go into. */
export function ip4Frag(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const worker = workerOf(node);
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    addTo(node, cut(node, worker, frames, metadata, meta, dataOf(frames, buffer, meta)), 1);
    freeBuffer(worker, buffer);
  }
  return 0;
}

/** Makes the fragments of one packet, all or none. Returns the counter that says what became of it. */
function cut(node: usize, worker: usize, frames: usize, metadata: usize, meta: usize, ip: usize): usize {
  const mtu = load<u32>(meta, META_OPAQUE);
  const header: u32 = (<u32>load<u8>(ip) & 15) << 2;
  const payload = <u32>load<u16>(meta, META_LENGTH) - header;
  const flags: u32 = bswap<u16>(load<u16>(ip, IP4_FRAGMENT));
  const start = (flags & IP4_OFFSET_MASK) << 3;
  const laterHeader = copiedHeader(ip, header, 0);
  // bytes of a fragment's payload: of the first, of each other
  const first: u32 = mtu < header + 8 ? 0 : (mtu - header) & ~7;
  const later: u32 = mtu < header + 8 ? 0 : (mtu - laterHeader) & ~7;
  if (first == 0 || first >= payload || flags & IP4_DF || start + header + payload > <u32>IP4_MOST_BYTES) {
    return FRAG_NOT_ALLOWED;
  }
  const pieces: u32 = 1 + (payload - first + later - 1) / later;
  if (load<u32>(worker, WORKER_FREE_COUNT) < pieces) return FRAG_NO_BUFFER;
  const ring: usize = load<u32>(node, NODE_DATA);
  if (load<u32>(ring, FRAGMENTS_IN) - load<u32>(ring, FRAGMENTS_OUT) + pieces > <u32>FRAGMENTS_ROOM) return FRAG_NO_ROOM;
  const ethernet = ip - <usize>load<u16>(meta, META_DATA) + FRAME_HEADROOM;
  for (let at: u32 = 0; at < payload; ) {
    const rest = payload - at;
    const room = at == 0 ? first : later;
    const bytes = rest < room ? rest : room;
    const buffer = takeBuffer(worker);
    const to = frames + (buffer << FRAME_SHIFT) + <usize>MADE_AT;
    // the Ethernet header that the packet came with is in front of each fragment, should it be punted
    memory.copy(to - ETHERNET_BYTES, ethernet, ETHERNET_BYTES);
    let own = header;
    if (at == 0) memory.copy(to, ip, header);
    else own = copiedHeader(ip, header, to);
    memory.copy(to + <usize>own, ip + <usize>(header + at), bytes);
    const more = bytes < rest ? <u32>IP4_MF : flags & IP4_MF;
    finish(to, own, own + bytes, more | ((start + at) >> 3));
    const its = metaOf(metadata, buffer);
    memory.fill(its, 0, METADATA_BYTES);
    store<u16>(its, MADE_AT, META_DATA);
    store<u16>(its, load<u16>(meta, META_RX), META_RX);
    describe4(its, to, own, own + bytes);
    put(ring, buffer);
    at += bytes;
  }
  addTo(node, FRAG_FRAGMENTS, pieces);
  return FRAG_DATAGRAMS;
}

/**
 * Writes the header that fragments other than the first have, with those options only that each is to have; returns its
 * length. @param to 0 to write nothing
 */
function copiedHeader(ip: usize, header: u32, to: usize): u32 {
  if (to) memory.copy(to, ip, IP4_BYTES);
  let own: u32 = IP4_BYTES;
  for (let at: u32 = IP4_BYTES; at < header; ) {
    const option: u32 = load<u8>(ip + <usize>at);
    if (option == IP4_OPTION_END) break;
    if (option == IP4_OPTION_NOTHING) {
      at++;
      continue;
    }
    const bytes: u32 = at + 1 < header ? load<u8>(ip + <usize>at, 1) : 0;
    if (bytes < 2 || at + bytes > header) break; // damaged: there is no telling what follows
    if (option & IP4_OPTION_COPIED) {
      if (to) memory.copy(to + <usize>own, ip + <usize>at, bytes);
      own += bytes;
    }
    at += bytes;
  }
  for (; own & 3; own++) if (to) store<u8>(to + <usize>own, IP4_OPTION_END);
  return own;
}

/** Makes a copied header that of a fragment. @param fragment flags and offset, host order */
// @ts-ignore: decorator
@inline function finish(ip: usize, header: u32, length: u32, fragment: u32): void {
  store<u8>(ip, 0x40 | (header >> 2));
  store<u16>(ip, bswap<u16>(<u16>length), IP4_LENGTH);
  store<u16>(ip, bswap<u16>(<u16>fragment), IP4_FRAGMENT);
  store<u16>(ip, 0, IP4_CHECKSUM);
  store<u16>(ip, ~fold(sumBytes(ip, header)), IP4_CHECKSUM);
}

// @ts-ignore: decorator
@inline function put(ring: usize, buffer: usize): void {
  const n = load<u32>(ring, FRAGMENTS_IN);
  store<u32>(ring + (<usize>(n & (FRAGMENTS_ROOM - 1)) << 2), <u32>buffer, FRAGMENTS_RING);
  store<u32>(ring, n + 1, FRAGMENTS_IN);
}

/** Hands the fragments that wait to the graph. The node's data: the ring. */
export function ip4FragInput(node: usize, vector: usize, room: i32, nexts: usize): i32 {
  const ring = node + NODE_DATA;
  const out = load<u32>(ring, FRAGMENTS_OUT);
  const waiting = <i32>(load<u32>(ring, FRAGMENTS_IN) - out);
  const count = waiting < room ? waiting : room;
  for (let i = 0; i < count; i++) {
    const at = ring + (<usize>((out + i) & (FRAGMENTS_ROOM - 1)) << 2);
    store<u32>(vector + (<usize>i << 2), load<u32>(at, FRAGMENTS_RING));
  }
  store<u32>(ring, out + count, FRAGMENTS_OUT);
  return count;
}
