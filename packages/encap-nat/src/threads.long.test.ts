import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Bihash } from '@lbd/bihash';
import { AS_ADDRESS4, AS_PORT, AS_SHIFT } from '@lbd/lb';
import { Arena, Epochs } from '@lbd/memory';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as L from './layout.ts';
import { allocateNat } from './tables.ts';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const workerFile = new URL('../test/race-worker.mjs', import.meta.url);
let scratch: string;
let module: WebAssembly.Module;

beforeAll(() => {
  scratch = mkdtempSync(join(packageFolder, 'dist/race-'));
  const asc = join(dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')), 'bin/asc.js');
  const out = join(scratch, 'race.wasm');
  const flags = ['-O3', '--noAssert', '--runtime', 'stub', '--use', 'abort=', '--importMemory', '--noExportMemory'];
  const memory = ['--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'];
  const features = ['threads', 'simd', 'bulk-memory'].flatMap((feature) => ['--enable', feature]);
  execFileSync(process.execPath, [asc, 'test/assembly/race.ts', '--outFile', out, ...flags, ...memory, ...features], {
    cwd: packageFolder,
  });
  module = new WebAssembly.Module(readFileSync(out));
}, 60_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const NOW = 1000;
const ROOM = 4096;

/** Three workers that make and end sessions of the same few flows to a VIP with one server, while the main thread sweeps. */
async function race(flows: number, sessions: number, milliseconds: number) {
  const arena = Arena.create(2 ** 27);
  const { memory } = arena;
  const { u32 } = memory;
  const nat = allocateNat(arena, 4, { sessions }, 0);
  const servers = arena.allocate('servers', 2 << AS_SHIFT);
  u32[(nat.block + L.NAT_SERVERS) >>> 2] = servers;
  memory.view.setUint32(servers + (1 << AS_SHIFT) + AS_ADDRESS4, 0x0a000001);
  memory.view.setUint16(servers + (1 << AS_SHIFT) + AS_PORT, 80);
  const words = arena.allocate('new flows, client, VIP, stop', 64);
  u32.set([1, 0x04030201, 0x0100005a, 0], words >>> 2);
  const stop = words + 12;
  const epochs = new Epochs(arena, 3);
  const threads = [0, 1, 2].map((i) => {
    const counts = arena.allocate('counts', 64);
    const addresses = {
      nat: nat.block,
      newFlow: words,
      client: words + 4,
      vip: words + 8,
      epoch: epochs.word(i),
      counts,
    };
    const workerData = {
      memory: memory.wasm,
      module,
      ...addresses,
      flows,
      seed: i * 104729,
      steps: 500,
      now: NOW,
      stop,
    };
    const worker = new Worker(workerFile, { workerData });
    return { counts, done: new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject)) };
  });
  const kernels = memory.instantiate(module) as Record<'nat_sweep' | 'nat_free', (...args: number[]) => number>;
  const list = arena.allocate('dead', ROOM * 4);
  const word = (session: number, offset: number) => u32[(nat.sessions + (session << L.SESSION_SHIFT) + offset) >>> 2]!;
  const used = () => Math.min(Atomics.load(u32, (nat.block + L.NAT_NEXT) >>> 2), sessions + 1);
  const sweep = async () => {
    const n = kernels.nat_sweep(nat.block, 1, used(), NOW, list, ROOM);
    const dead = u32.slice(list >>> 2, (list >>> 2) + n);
    await epochs.quiescent();
    for (const session of dead) kernels.nat_free(nat.block, session);
    return n;
  };
  const sum = (offset: number) => threads.reduce((total, { counts }) => total + u32[(counts + offset) >>> 2]!, 0);
  const begin = Date.now();
  // On a busy machine a thread may not have had its turn yet.
  while (Date.now() - begin < milliseconds || threads.some(({ counts }) => u32[(counts + 8) >>> 2] === 0)) {
    await sweep();
    await turn();
  }
  Atomics.store(u32, stop >>> 2, 1);
  await Promise.all(threads.map(({ done }) => done));
  while ((await sweep()) > 0);
  const indices = Array.from({ length: used() - 1 }, (_, i) => i + 1);
  const free = new Set<number>();
  for (let at = u32[(nat.block + L.NAT_FREE) >>> 2]!; at !== 0 && !free.has(at); at = word(at, L.SESSION_NEXT))
    free.add(at);
  return {
    conflicts: sum(0),
    changed: sum(4),
    live: indices.filter((session) => word(session, L.SESSION_STATE) === L.SESSION_LIVE),
    counted: u32[(nat.block + L.NAT_LIVE) >>> 2]!,
    lost: indices.filter((session) => word(session, L.SESSION_STATE) !== L.SESSION_LIVE && !free.has(session)),
    keys: [...Bihash.attach(memory, nat.table).entries()].map(({ value }) => Number(value)),
  };
}

describe('sessions of the same flows that several workers make and end at a time', () => {
  it.each([
    { flows: 1, sessions: 1 << 17 },
    { flows: 3, sessions: 1 << 17 },
    { flows: 24, sessions: 64 },
  ])('are one for each flow, found by both keys, and none is lost: $flows flows', async ({ flows, sessions }) => {
    const { conflicts, changed, live, counted, lost, keys } = await race(flows, sessions, 500);
    expect({ conflicts, changed, lost }).toEqual({ conflicts: 0, changed: 0, lost: [] });
    expect(live.length).toBeLessThanOrEqual(flows);
    expect(counted).toBe(live.length);
    expect(keys.sort((a, b) => a - b)).toEqual(live.flatMap((session) => [session, session]));
  });
});
