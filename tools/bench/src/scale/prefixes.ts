import { random } from './process-memory.ts';

/**
 * Prefixes of each length in 10,000 of the Internet's IPv4 table, roughly as public route collectors have seen them of late: six of
 * ten are /24. Routers have some longer ones of their own.
 */
const SHARES: ReadonlyArray<readonly [length: number, share: number]> = [
  [24, 6130],
  [23, 1060],
  [22, 1130],
  [21, 520],
  [20, 460],
  [19, 265],
  [18, 143],
  [17, 88],
  [16, 142],
  [15, 22],
  [14, 13],
  [13, 6],
  [12, 3],
  [11, 1],
  [10, 1],
  [25, 6],
  [26, 4],
  [27, 2],
  [28, 1],
  [29, 1],
  [30, 1],
  [32, 1],
];

export interface Prefix4 {
  readonly address: number;
  readonly length: number;
}

/**
 * So many different prefixes with the lengths of the Internet's table, in the address space that it uses (1.0.0.0 to
 * 223.255.255.255), in random order and the same each time.
 */
export function internetTable(count: number): Prefix4[] {
  const next = random();
  const known = new Set<number>();
  const shares = SHARES.flatMap(([length, share]) => new Array<number>(share).fill(length));
  const prefixes: Prefix4[] = [];
  while (prefixes.length < count) {
    const length = shares[next() % shares.length]!;
    const address = (next() & (-1 << (32 - length))) >>> 0;
    const first = address >>> 24;
    const key = address * 64 + length;
    if (first === 0 || first === 10 || first === 127 || first > 223 || known.has(key)) continue;
    known.add(key);
    prefixes.push({ address, length });
  }
  return prefixes;
}
