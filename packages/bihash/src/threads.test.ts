import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Arena } from '@lbd/memory';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bihash, type BihashKeyBytes } from './bihash.ts';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const workerFile = new URL('../test/race-worker.mjs', import.meta.url);
let scratch: string;
let module: WebAssembly.Module;

// The loops are kernels of their own, compiled as another package's would be that imports this one's functions.
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

interface Race {
  keyBytes: BihashKeyBytes;
  /** Keys are pairs of numbers below 2^log2. */
  log2: number;
  buckets: number;
}

async function race({ keyBytes, log2, buckets }: Race, milliseconds: number) {
  const arena = Arena.create(2 ** 24);
  const table = Bihash.create(arena, { keyBytes, buckets, memoryBytes: 2 ** 22 });
  const n = 1 << log2;
  const key = (a: number, b: number) => {
    const [x, y] = [BigInt(a), BigInt(b)];
    return keyBytes === 8 ? [(x << 32n) | y] : [x, y, x, y, x].slice(0, keyBytes / 8);
  };
  for (let b = 0; b < n; b++) table.set(key(0, b), BigInt(b) << 32n);
  const stop = arena.allocate('stop', 64);
  const threads = ['read', 'write', 'read', 'write', 'write'].map((loop, i) => {
    const errors = arena.allocate('errors', 64);
    const steps = loop === 'read' ? 5_000 : 100;
    const seed = (i + 1) * 104729;
    const workerData = {
      memory: arena.memory.wasm,
      module,
      loop: loop + keyBytes,
      table: table.address,
      log2,
      seed,
      steps,
      errors,
      stop,
    };
    const worker = new Worker(workerFile, { workerData });
    const done = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
    return { done, errors };
  });
  await sleep(milliseconds);
  const rounds = () => threads.map(({ errors }) => Atomics.load(arena.memory.i32, errors / 4 + 3));
  // On a busy machine a thread may not have had its turn yet.
  while (rounds().includes(0)) await sleep(20);
  Atomics.store(arena.memory.i32, stop / 4, 1);
  await Promise.all(threads.map(({ done }) => done));
  const sum = (word: number) => threads.reduce((total, { errors }) => total + arena.memory.u32[errors / 4 + word]!, 0);
  return { table, key, n, lost: sum(0), wrong: sum(1), full: sum(2) };
}

describe('threads that read while others write', () => {
  it.each<Race>([
    { keyBytes: 8, log2: 3, buckets: 1 },
    { keyBytes: 16, log2: 3, buckets: 2 },
    { keyBytes: 16, log2: 6, buckets: 256 },
    { keyBytes: 24, log2: 5, buckets: 64 },
    { keyBytes: 40, log2: 4, buckets: 16 },
  ])('see no wrong value and miss no key that stays: %o', async (options) => {
    const { table, key, n, ...errors } = await race(options, 500);
    expect(errors).toEqual({ lost: 0, wrong: 0, full: 0 });
    // What writers say they did is what is there.
    const entries = [...table.entries()];
    expect(table.size).toBe(entries.length);
    for (let b = 0; b < n; b++) expect(table.has(key(0, b))).toBe(true);
    for (const entry of entries) expect(table.delete(entry.key)).toBe(true);
    expect(table.stats).toMatchObject({ size: 0, usedBuckets: 0, memoryUsed: 0 });
  });
});
