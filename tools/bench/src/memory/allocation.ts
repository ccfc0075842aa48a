import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Arena } from '@lbd/memory';
import { CASES } from './cases.ts';
import { Pool } from './nodes.ts';
import { buildPath } from './path.ts';
import { BUFFERS, type Rig } from './rig.ts';
import { Templates } from './templates.ts';

const MEMORY_BYTES = 512 * 2 ** 20;

/** What some work did to V8's heap. */
export interface Allocation {
  /** Bytes more in use after the work than before it, garbage and all: all that was allocated, if there was no collection. */
  readonly allocated: number;
  /** Bytes more in use after the work and a collection than after the collection before it. */
  readonly kept: number;
  /** Runs of the garbage collector while the work ran. */
  readonly collections: number;
}

/** Lets `work` run and looks at the heap. `work` is synchronous, so that nothing else of the process is in the figures. */
export async function measureAllocation(work: () => void): Promise<Allocation> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = () => getHeapStatistics().used_heap_size;
  const runs: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { startTime } of list.getEntries()) runs.push(startTime);
  });
  observer.observe({ entryTypes: ['gc'] });
  // The first call of anything makes objects that stay.
  collect();
  used();
  performance.now();
  await setImmediate();
  collect();
  collect();
  const start = performance.now();
  const before = used();
  work();
  const after = used();
  const end = performance.now();
  collect();
  collect();
  const kept = used() - before;
  // Runs are told in a later turn of the event loop.
  for (let i = 0; i < 3; i++) await setImmediate();
  observer.disconnect();
  const collections = runs.filter((time) => time >= start && time < end).length;
  return { allocated: after - before, kept, collections };
}

/**
 * lbd's own graph after a warm-up: each flow is known, and the compiler has settled.
 * @param name of a case
 * @param flows a power of two
 */
export async function warmPath(name: string, flows: number, warmUp: number): Promise<Rig> {
  const of = CASES.find((one) => one.name === name);
  if (of === undefined) throw new Error(`no such case: ${name}`);
  const arena = Arena.create(MEMORY_BYTES);
  const templates = new Templates(arena, flows, of.vipFamily, of.vips);
  const rig = await buildPath(arena, new Pool(arena, BUFFERS, templates.address, flows), of, templates);
  rig.pass(2 * flows + warmUp);
  return rig;
}
