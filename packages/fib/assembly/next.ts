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

/** What and-ing slots starts with. */
// @ts-ignore: decorator
@inline export const ALL: u32 = 0xffffffff;
/**
 * Writes the next slot of a run of packets, [from, to) in the vector. A run goes one way; the loop over the usual packets of
 * one is a function of its own without calls and without next slots, so that all it needs stays in registers.
 */
export function sendRun(nexts: usize, vector: usize, from: usize, to: usize, slot: u32): void {
  for (let at = from; at < to; at += 4) store<u16>(nexts + ((at - vector) >> 1), slot);
}
/** What a kernel returns after runs whose slots, or-ed, are `any` and, and-ed, `all`. */
// @ts-ignore: decorator
@inline export function allRuns(any: u32, all: u32): i32 {
  return any == all ? <i32>any : MIXED;
}
