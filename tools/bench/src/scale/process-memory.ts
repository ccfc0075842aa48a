/** Megabytes (2^20 bytes) that the process uses now: JavaScript's heap after a collection, and all that is resident. */
export function megabytes(): { heap: number; resident: number } {
  // Run with --expose-gc.
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed / 2 ** 20, resident: rss / 2 ** 20 };
}

/** A generator of pseudo-random 32-bit numbers (xorshift), the same in every run. */
export function random(seed = 0x9e3779b9): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Milliseconds that each call took, sorted. */
export async function times(count: number, work: (i: number) => unknown): Promise<number[]> {
  const taken: number[] = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    await work(i);
    taken.push(performance.now() - begun);
  }
  return taken.sort((a, b) => a - b);
}
