import type { NodeCounter } from '../model.ts';
import { table } from './table.ts';

/** Laid out as VPP's `show errors`. */
export function formatErrors(counters: readonly NodeCounter[]): string {
  if (counters.length === 0) return 'nothing counted';
  return table(
    ['Count', 'Node', 'Reason', 'Meaning'],
    counters.map(({ count, node, name, meaning }) => [count, node, name, meaning]),
  );
}
