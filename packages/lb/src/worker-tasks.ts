import type { Memory } from '@lbd/memory';
import { StickyTable } from '@lbd/sticky';
import type { LbTask } from './host.ts';
import * as L from './layout.ts';
import type { LbHandles } from './tables.ts';

/** Does what the control plane asks of one worker; called in that worker, between vectors. */
export function runLbTask(memory: Memory, lb: LbHandles, worker: number, task: LbTask): void {
  const at = (lb.blocks[worker]! + L.LB_STICKY) >>> 2;
  const table = StickyTable.attach(memory, memory.u32[at]!);
  if (task.kind === 'lb-flush') {
    const { servers, vip } = task;
    const wanted = servers && new Set(servers);
    if (wanted) table.flush((entry) => wanted.has(entry.as), 0);
    else table.flush(vip === undefined ? {} : { vip }, 0);
    return;
  }
  const address = task.tables[worker]!;
  table.copyTo(StickyTable.attach(memory, address), task.now);
  Atomics.store(memory.u32, at, address);
}
