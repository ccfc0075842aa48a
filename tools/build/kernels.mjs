#!/usr/bin/env node
// Compiles a package's kernels, assembly/index.ts, to dist/kernels.wasm.
//
// Every kernel module of every package is instantiated over the same shared memory, so a module may own no memory of
// its own: no static data, no heap, no garbage collector. This tool refuses a module that has a data segment.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import asc from 'assemblyscript/asc';

const OUT = 'dist/kernels.wasm';
const DATA_SECTION = 11;
const flags = [
  'assembly/index.ts',
  '--outFile',
  OUT,
  '-O3',
  '--noAssert',
  '--runtime',
  'stub',
  '--use',
  'abort=',
  '--importMemory',
  '--noExportMemory',
  '--sharedMemory',
  '--initialMemory',
  '1',
  '--maximumMemory',
  '65536',
  '--enable',
  'threads',
  '--enable',
  'simd',
  '--enable',
  'bulk-memory',
];

if (process.argv.includes('--help')) {
  process.stdout.write(
    `Usage: lbd-kernels\n\nCompiles assembly/index.ts to ${OUT}, in the package that it is started in.\n`,
  );
  process.exit(0);
}

await mkdir('dist', { recursive: true });
const { error, stderr } = await asc.main(flags);
if (error) {
  process.stderr.write(`${stderr.toString()}\n${error.message}\n`);
  process.exit(1);
}
const warnings = stderr.toString();
if (warnings) process.stderr.write(warnings);
const wasm = await readFile(OUT);
if (hasSection(wasm, DATA_SECTION)) {
  await writeFile(OUT, '');
  process.stderr.write(
    `${OUT}: kernels must not have static data (a string, a static array, a literal): the memory is shared by all modules\n`,
  );
  process.exit(1);
}

/** True if the WebAssembly module has a section with this id (WebAssembly core specification, section 5.5.2). */
function hasSection(bytes, id) {
  let at = 8;
  while (at < bytes.length) {
    const section = bytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (section === id) return true;
    at += size;
  }
  return false;
}
