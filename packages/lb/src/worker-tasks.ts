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
    const { vip } = task;
    const servers = task.servers && new Set(task.servers);
    const wanted = (entry: { vip: number; as: number }) =>
      (vip === undefined || entry.vip === vip) && (!servers || servers.has(entry.as));
    table.flush(wanted, 0);
    return;
  }
  const address = task.tables[worker]!;
  table.copyTo(StickyTable.attach(memory, address), task.now);
  Atomics.store(memory.u32, at, address);
}
