import { dataOf, framesOf, metadataOf, metaOf, reason, workerOf } from '@lbd/graph/assembly/abi.ts';
import { ALL, allRuns, sendRun } from '@lbd/graph/assembly/runs.ts';
import {
  FRAME_SHIFT,
  INTERFACE_MAC,
  INTERFACE_SHIFT,
  META_DATA,
  META_LENGTH,
  META_RX,
  WORKER_INTERFACES,
} from '@lbd/graph/src/layout.ts';
import { ETHERNET_BYTES, ETHERNET_TYPE } from '@lbd/packet/src/layout.ts';
import {
  ETHERNET_INPUT_GROUP,
  ETHERNET_INPUT_NOT_FOR_US,
  ETHERNET_INPUT_RUNT,
  ETHERNET_INPUT_UNKNOWN_TYPE,
} from '../src/nodes/places.ts';

const IP4_INPUT: u32 = 0;
const IP6_INPUT: u32 = 1;
const PUNT: u32 = 2;
const DROP: u32 = 3;
const MAC: u64 = 0xffffffffffff;
/** EtherTypes as loaded, little-endian. */
const TYPE_IP4: u32 = 0x0008;
const TYPE_IP6: u32 = 0xdd86;

/**
 * Takes the Ethernet header off: META_DATA and META_LENGTH advance by it, also for packets that are punted, so that every
 * later node finds the network header there and the Ethernet header in front of it.
 */
export function ethernetInput(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const interfaces: usize = load<u32>(workerOf(node), WORKER_INTERFACES);
  const end = vector + (<usize>count << 2);
  let any: u32 = 0;
  let all: u32 = ALL;
  for (let from = vector; from < end; ) {
    const buffer: usize = load<u32>(from);
    const meta = metaOf(metadata, buffer);
    const rx: u32 = load<u16>(meta, META_RX);
    const mac = load<u64>(interfaces + (<usize>rx << INTERFACE_SHIFT), INTERFACE_MAC) & MAC;
    let at = usual(from, end, frames, metadata, rx, mac);
    let slot = IP4_INPUT;
    if (at == from) {
      const ethernet = dataOf(frames, buffer, meta);
      slot = unusual(node, meta, ethernet, mac, load<u16>(ethernet, ETHERNET_TYPE));
      advance(meta, load<u32>(meta, META_DATA));
      at += 4;
    }
    if (from != vector || at != end) sendRun(nexts, vector, from, at, slot);
    any |= slot;
    all &= slot;
    from = at;
  }
  return allRuns(any, all);
}

/** Passes IPv4 packets for the MAC address of one interface, until one comes that is not; returns its place. */
function usual(at: usize, end: usize, frames: usize, metadata: usize, rx: u32, mac: u64): usize {
  for (; at < end; at += 4) {
    const buffer: usize = load<u32>(at);
    const meta = metaOf(metadata, buffer);
    const place = load<u32>(meta, META_DATA);
    const ethernet = frames + (buffer << FRAME_SHIFT) + <usize>(place & 0xffff);
    if ((load<u64>(ethernet) & MAC) != mac || load<u16>(ethernet, ETHERNET_TYPE) != TYPE_IP4) break;
    // the headers of Ethernet and the shortest IP; the frame is there to be read whatever the packet's length
    if (place < 34 << 16) break;
    if (<u32>load<u16>(meta, META_RX) != rx) break;
    advance(meta, place);
  }
  return at;
}

/** `place`: META_DATA and META_LENGTH, which are halves of one word. */
// @ts-ignore: decorator
@inline function advance(meta: usize, place: u32): void {
  store<u32>(meta, place + ETHERNET_BYTES - (ETHERNET_BYTES << 16), META_DATA);
}

function unusual(node: usize, meta: usize, ethernet: usize, mac: u64, type: u32): u32 {
  if (load<u16>(meta, META_LENGTH) < <u16>ETHERNET_BYTES) {
    // an empty packet, once the header is taken off
    store<u16>(meta, ETHERNET_BYTES, META_LENGTH);
    reason(node, meta, ETHERNET_INPUT_RUNT);
    return DROP;
  }
  if (load<u8>(ethernet) & 1) {
    // RFC 1812, section 5.3.4: what came as a link-layer broadcast must not be forwarded
    reason(node, meta, ETHERNET_INPUT_GROUP);
    return PUNT;
  }
  // an interface without a MAC address (a capture file) takes all
  if (mac != 0 && (load<u64>(ethernet) & MAC) != mac) {
    reason(node, meta, ETHERNET_INPUT_NOT_FOR_US);
    return DROP;
  }
  if (type == TYPE_IP4) return IP4_INPUT;
  if (type == TYPE_IP6) return IP6_INPUT;
  reason(node, meta, ETHERNET_INPUT_UNKNOWN_TYPE);
  return PUNT;
}
