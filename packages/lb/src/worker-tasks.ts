import type { Memory } from '@lbd/memory';
import { StickyTable } from '@lbd/sticky';
import type { LbTask } from './host.ts';
import * as L from './layout.ts';
import type { LbHandles } from './tables.ts';

/** Sticky buckets that are gone through between two breaths: some tens of microseconds. */
const FLUSH_BUCKETS = 1024;

/** Sticky buckets whose flows are moved to another table between two breaths: each flow goes to a line that is far away. */
const MOVE_BUCKETS = 512;

/**
 * Begins what the control plane asks of one worker. Returns a function to be called in that worker, between vectors, until it
 * returns true: then all is done. Packets go on between the calls; what they establish meanwhile is by what is published now,
 * so nothing has to be gone through twice.
 */
export function beginLbTask(memory: Memory, lb: LbHandles, worker: number, task: LbTask): () => boolean {
  const at = (lb.blocks[worker]! + L.LB_STICKY) >>> 2;
  if (task.kind === 'lb-sticky') {
    let step: ReturnType<StickyTable['takeOver']> | undefined;
    return () => {
      if (!step) {
        const table = StickyTable.attach(memory, task.tables[worker]!);
        step = table.takeOver(StickyTable.attach(memory, memory.u32[at]!));
        Atomics.store(memory.u32, at, table.address);
      }
      return step(MOVE_BUCKETS, task.now);
    };
  }
  const { servers, vip } = task;
  const chosen = servers && new Set(servers);
  const wanted = (as: number, of: number) => (chosen?.has(as) ?? true) && (vip === undefined || of === vip);
  const table = StickyTable.attach(memory, memory.u32[at]!);
  let from = 0;
  return () => {
    table.flushPart(wanted, from, from + FLUSH_BUCKETS);
    from += FLUSH_BUCKETS;
    return from >= table.buckets;
  };
}

/** Does all of it at once. */
export function runLbTask(memory: Memory, lb: LbHandles, worker: number, task: LbTask): void {
  const step = beginLbTask(memory, lb, worker, task);
  while (!step());
}
