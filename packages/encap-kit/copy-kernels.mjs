// Puts the compiler of kernels, which the workspace shares, into dist/. Run by `pnpm build`, after the TypeScript compiler.
import { chmodSync, copyFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const copy = fileURLToPath(new URL('./dist/kernels.mjs', import.meta.url));
copyFileSync(fileURLToPath(import.meta.resolve('@lbd/build/kernels.mjs')), copy);
chmodSync(copy, 0o755);
