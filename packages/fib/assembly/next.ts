/** Where the packets of a vector go, when a kernel sends most of them the same way. */
import { MIXED } from '@lbd/graph/src/layout.ts';

/** Writes a packet's next slot; returns what tells if it is another than the first packet's. */
// @ts-ignore: decorator
@inline export function setNext(nexts: usize, i: i32, slot: u32): u32 {
  store<u16>(nexts + (<usize>i << 1), slot);
  return slot ^ load<u16>(nexts);
}
/** What a kernel returns after setNext() for each packet; `differ` is its results, or-ed. */
// @ts-ignore: decorator
@inline export function allNexts(nexts: usize, differ: u32): i32 {
  return differ == 0 ? <i32>load<u16>(nexts) : MIXED;
}
