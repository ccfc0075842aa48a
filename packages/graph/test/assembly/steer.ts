/** The node of steer.ts as a kernel: sends a packet to the slot its first byte names, and burns a hop of its opaque word. */
import { bufferAt, count as add, dataOf, framesOf, metadataOf, metaOf, reason } from '../../assembly/abi.ts';
import { META_OPAQUE, MIXED, NODE_DATA } from '../../src/layout.ts';

export function steer(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  const frames = framesOf(node);
  const metadata = metadataOf(node);
  const slots = load<u32>(node, NODE_DATA);
  let first = -1;
  let mixed = false;
  for (let i = 0; i < count; i++) {
    const buffer = bufferAt(vector, i);
    const meta = metaOf(metadata, buffer);
    const hops = load<u32>(meta, META_OPAQUE);
    let slot = 0;
    if (hops == 0) {
      reason(node, meta, 1);
    } else {
      store<u32>(meta, hops - 1, META_OPAQUE);
      slot = 1 + <i32>(((<u32>load<u8>(dataOf(frames, buffer, meta)) >>> (hops & 7)) + hops) % (slots - 1));
    }
    store<u16>(nexts + (<usize>i << 1), <u16>slot);
    if (first < 0) first = slot;
    mixed = mixed || slot != first;
  }
  add(node, 0, <u64>count);
  return mixed ? MIXED : first;
}
