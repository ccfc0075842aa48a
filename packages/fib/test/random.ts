/** A small repeatable generator of 32-bit numbers (xorshift, Marsaglia 2003). */
export function random(seed: number): () => number {
  let x = Math.imul(seed, 2654435761) || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}
