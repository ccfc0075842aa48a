/** Middle value; the mean of the two middle ones if their number is even. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * Calls the measurements one after the other, again and again (A B C, A B C, ...), so that a slow minute of the machine
 * slows all of them. Returns the results of each.
 */
export async function inTurn<T>(rounds: number, ...measurements: ReadonlyArray<() => T | Promise<T>>): Promise<T[][]> {
  const results: T[][] = measurements.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, measure] of measurements.entries()) results[i]!.push(await measure());
  }
  return results;
}

/** Quotients of what was measured in the same round: the comparison that a shared machine disturbs least. */
export function ratios(over: readonly number[], under: readonly number[]): Spread {
  return spread(over.map((value, i) => value / under[i]!));
}
