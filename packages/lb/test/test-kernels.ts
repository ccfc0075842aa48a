import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

/** Compiles test/assembly/fragments.ts, as another package's kernels would be that import this one's functions. */
export function compileTestKernels(): WebAssembly.Module {
  const scratch = mkdtempSync(join(packageFolder, 'dist/test-kernels-'));
  const out = join(scratch, 'kernels.wasm');
  const asc = join(dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')), 'bin/asc.js');
  const flags = ['-O3', '--noAssert', '--runtime', 'stub', '--use', 'abort=', '--importMemory', '--noExportMemory'];
  const memory = ['--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'];
  const features = ['threads', 'simd', 'bulk-memory'].flatMap((feature) => ['--enable', feature]);
  const args = [asc, 'test/assembly/fragments.ts', '--outFile', out, ...flags, ...memory, ...features];
  try {
    execFileSync(process.execPath, args, { cwd: packageFolder });
    return new WebAssembly.Module(readFileSync(out));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Its functions. */
export interface TestKernels {
  remember(lb: number, ip: number, meta: number, now: number, value: bigint): void;
  find(lb: number, ip: number, meta: number, now: number): bigint;
  remember_choice(lb: number, ip: number, meta: number, now: number): void;
  find_choice(lb: number, ip: number, meta: number, now: number): bigint;
  tiny(meta: number): number;
  overlapping(ip: number, meta: number): number;
  quotation(ip: number, meta: number, out: number): number;
}

/** The packets that scapy makes of a Python expression of a list; `fragment` and `fragment6` are there. */
export function scapy(list: string): Uint8Array[] {
  const code = `
import logging
logging.getLogger('scapy').setLevel(logging.ERROR)
from scapy.layers.inet import *
from scapy.layers.inet6 import *
from scapy.packet import Raw
data = bytes(i * 7 % 251 for i in range(60000))
for p in ${list}: print(bytes(p).hex())`;
  const text = execFileSync('/usr/bin/python3', ['-c', code], { encoding: 'utf8' });
  return text
    .trim()
    .split('\n')
    .map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));
}
