import type { Runtime, WorkerPauses } from '../model.ts';
import { ratio, table } from './table.ts';

/** A block for each worker, nodes that ran, or may not, only. Time is per packet, nanoseconds. */
export function formatRuntime({ workers, nodes }: Runtime): string {
  return workers
    .map(({ worker, seconds, breaths, sleeps, pauses, freeBuffers, buffers }) => {
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
      return `${head}\n${formatPauses(pauses)}\n${table(['Name', 'State', 'Calls', 'Packets', 'Packets/Call', 'ns/Packet'], rows)}`;
    })
    .join('\n\n');
}

/** From the shortest to the longest, e.g. `pauses: longest 0.250 ms; below 2 us 6, below 4 us 3, below 256 us 1`. */
function formatPauses({ longest, counts }: WorkerPauses): string {
  const last = counts.length - 1;
  const some = counts
    .map((count, i) => ({ count, words: i === last ? `${2 ** (last - 1)} us and more` : `below ${2 ** i} us` }))
    .filter(({ count }) => count > 0)
    .map(({ count, words }) => `${words} ${count}`);
  return `pauses: longest ${longest.toFixed(3)} ms${some.length > 0 ? `; ${some.join(', ')}` : ''}`;
}
