import { addon } from './addon.ts';

/**
 * A function that writes the system's monotonic clock to the first element of an array: milliseconds, the same in every thread.
 * Node's own clocks leave an object to the garbage collector each time.
 */
export function clockReader(cell: Float64Array): () => void {
  const read = addon().clockReader(cell);
  if (typeof read === 'number') throw new RangeError('the array has no element');
  return read;
}
