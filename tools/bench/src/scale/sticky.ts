import { Arena } from '@lbd/memory';
import { adviseHugePages } from '@lbd/native';
import { StickyTable } from '@lbd/sticky';
import { median } from '../statistics.ts';
import type { Value } from './measures.ts';
import { times } from './process-memory.ts';

const VECTOR = 256;
const NOW = 1000;

/** A sticky table with so many flows (a power of two), asked for them in random order. */
export async function sticky(flows: number): Promise<Value[]> {
  const arena = Arena.create(3 * 2 ** 30);
  adviseHugePages(arena.memory.u8);
  const { u32, u8 } = arena.memory;
  const table = StickyTable.create(arena, { buckets: flows });
  const before = Math.round(process.memoryUsage().rss);
  const words = (label: string, count = VECTOR) => arena.allocate(label, count * 4);
  const all = words('bench: hashes', flows);
  const vector = {
    hashes: all,
    vips: words('bench: VIPs'),
    newflow: words('bench: servers'),
    out: words('bench: out'),
    count: VECTOR,
    counters: arena.allocate('bench: counters', 32),
  };
  u8.fill(0, vector.vips, vector.vips + VECTOR * 4);
  u32.fill(7, vector.newflow >>> 2, (vector.newflow >>> 2) + VECTOR);
  for (let i = 0; i < flows; i++) u32[(all >>> 2) + i] = mixed(i);
  const pass = (over: number) => {
    for (let i = 0; i < over; i += VECTOR) table.lookup({ ...vector, hashes: all + i * 4 }, NOW);
  };
  const insert = (await times(1, () => pass(flows)))[0]!;
  const used = process.memoryUsage().rss - before - flows * 4;
  const live = table.usage(NOW).live;
  const hits = Math.min(flows, 1 << 22);
  const taken = await times(7, () => pass(hits));
  const counting = await times(3, () => table.usage(NOW));
  return [
    { name: 'a flow', value: used / live, unit: 'bytes' },
    { name: 'flows without room', value: (1 - live / flows) * 100, unit: '%' },
    { name: 'a new flow', value: (insert * 1e6) / flows, unit: 'ns' },
    { name: 'a known flow', value: (median(taken) * 1e6) / hits, unit: 'ns' },
    { name: 'count all flows', value: median(counting), unit: 'ms' },
  ];
}

/** A hash of a flow's number, different for each: the last step of MurmurHash3. In this order they are random places of the table. */
function mixed(n: number): number {
  let h = n;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
