import type { Arena } from '@lbd/memory';
import type { Pool } from './nodes.ts';
import type { Rig } from './rig.ts';
export function buildNat4Path(_flows: number): (arena: Arena, pool: Pool) => Promise<Rig> {
  throw new Error('not yet');
}
