import type { Runtime } from '../model.ts';
import { ratio, table } from './table.ts';

/** A block for each worker, nodes that ran, or may not, only. Time is per packet, nanoseconds. */
export function formatRuntime({ workers, nodes }: Runtime): string {
  return workers
    .map(({ worker, seconds, breaths, sleeps, freeBuffers, buffers }) => {
      const rows = nodes
        .filter((node) => node.worker === worker && (node.calls > 0 || node.state === 'disabled'))
        .map((node) => [
          node.name,
          node.state,
          node.calls,
          node.packets,
          Number(ratio(node.packets, node.calls)),
          Number(ratio(node.nanoseconds, node.packets)),
        ]);
      const head = `worker ${worker}: ${seconds.toFixed(1)} s, ${breaths} breaths, ${sleeps} sleeps, buffers ${freeBuffers} free of ${buffers}`;
      return `${head}\n${table(['Name', 'State', 'Calls', 'Packets', 'Packets/Call', 'ns/Packet'], rows)}`;
    })
    .join('\n\n');
}
