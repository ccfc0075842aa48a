// A writer holds a lock for well under a microsecond, unless the kernel took its processor away: after some tries let
// the processor go to it. Nobody notifies; the wait ends by its time.
const SPINS = 200;
const NAP_NANOSECONDS: i64 = 20000;

/** Call with the 32-bit word that says "locked", its value as seen, and how often it was tried. */
export function backOff(word: usize, seen: i32, tries: i32): void {
  if (tries > SPINS) atomic.wait<i32>(word, seen, NAP_NANOSECONDS);
}
