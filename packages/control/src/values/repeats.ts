/** The places in a list at which something stands that stood at one before. */
export function repeats(list: readonly unknown[]): number[] {
  const seen = new Set<unknown>();
  const places: number[] = [];
  for (const [i, item] of list.entries()) {
    if (seen.has(item)) places.push(i);
    seen.add(item);
  }
  return places;
}
