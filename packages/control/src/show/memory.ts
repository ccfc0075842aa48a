import type { MemoryState } from '../model.ts';
import { table } from './table.ts';

/** Pieces with the same label are one line. */
export function formatMemory({ bytes, remaining, allocations }: MemoryState): string {
  const sums = new Map<string, { pieces: number; bytes: number }>();
  for (const { label, bytes } of allocations) {
    const sum = sums.get(label) ?? { pieces: 0, bytes: 0 };
    sums.set(label, { pieces: sum.pieces + 1, bytes: sum.bytes + bytes });
  }
  const rows = [...sums]
    .sort(([, a], [, b]) => b.bytes - a.bytes)
    .map(([label, sum]) => [label, sum.pieces, sum.bytes]);
  return `${bytes} bytes, ${bytes - remaining} handed out\n${table(['Label', 'Pieces', 'Bytes'], rows)}`;
}
