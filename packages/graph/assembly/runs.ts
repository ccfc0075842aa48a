/**
 * For kernels that go through a vector in runs of packets that go the same way. The loop over a run of usual packets is a
 * function of its own, without calls and without next slots, so that all it needs stays in registers: a call in a loop makes
 * V8 keep it on the stack. (Call that function in two places, or Binaryen inlines it where calls are.)
 */
import { MIXED } from '../src/layout.ts';

/** What and-ing slots starts with. */
// @ts-ignore: decorator
@inline export const ALL: u32 = 0xffffffff;
/** Writes the next slot of a run: the packets at [from, to) in the vector. */
export function sendRun(nexts: usize, vector: usize, from: usize, to: usize, slot: u32): void {
  for (let at = from; at < to; at += 4) store<u16>(nexts + ((at - vector) >> 1), slot);
}
/** What a kernel returns after runs whose slots, or-ed, are `any` and, and-ed, `all`. */
// @ts-ignore: decorator
@inline export function allRuns(any: u32, all: u32): i32 {
  return any == all ? <i32>any : MIXED;
}
