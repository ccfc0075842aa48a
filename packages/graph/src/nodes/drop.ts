import { kernels } from '../kernels.ts';
import type { NodeDeclaration } from '../node.ts';

/** Where packets end that go nowhere: counts each by its META_REASON and frees its buffer. In every graph. */
export const dropNode: NodeDeclaration = {
  name: 'drop',
  kind: 'output',
  process: { module: kernels, export: 'drop' },
  trace: () => 'drop',
};
