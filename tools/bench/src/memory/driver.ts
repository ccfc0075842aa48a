import type { Driver } from '@lbd/io';
import { generatorNode, type Pool, sinkNode } from './nodes.ts';

/** Name of the benchmark's driver. */
export const BENCH = 'bench';

/** The driver of the benchmark's one interface: a generator as input, a sink as output. */
export function benchDriver(pool: Pool): Driver {
  return {
    name: BENCH,
    nodes: () => [
      generatorNode(pool, 'ethernet-input'),
      sinkNode(pool, 'bench-output'),
      { name: 'bench-punt', kind: 'internal', next: ['drop'], process: (context) => context.slot('drop') },
    ],
    control: () => {
      throw new Error('the benchmark opens no interfaces');
    },
    worker: () => ({ fds: [], flush() {} }),
  };
}
