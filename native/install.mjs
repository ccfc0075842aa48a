// Builds the addon with node-gyp: on `npm install` / `pnpm install`, or by hand: `node install.mjs`.
//
// It needs no network where Node's headers are beside its binary. Without a compiler the package is installed all the
// same (reading and writing capture files needs no addon); what needs the addon then says what to install.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const addon = join(here, 'build', 'Release', 'lbd_native.node');
const stamp = join(here, 'build', 'lbd_native.inputs');
const require = createRequire(import.meta.url);

if (process.platform !== 'linux') {
  console.warn(`@lbd/native: not built: it is for Linux, and this is ${process.platform}`);
} else if (!upToDate()) {
  build();
}

function build() {
  const prefix = dirname(dirname(process.execPath));
  const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : [];
  const gyp = require.resolve('node-gyp/bin/node-gyp.js');
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [gyp, 'rebuild', ...headers], {
    cwd: here,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status === 0 && existsSync(addon)) {
    writeFileSync(stamp, inputs());
    return;
  }
  console.warn(`${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`);
  console.warn(
    '@lbd/native: the addon was not built. It needs g++, make and python3 (Debian: apt install g++ make python3).',
  );
  console.warn(`Then run: node ${join(here, 'install.mjs')}`);
}

function upToDate() {
  return existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs();
}

/** A digest of all that the addon is made from. */
function inputs() {
  const hash = createHash('sha256');
  const sources = readdirSync(join(here, 'addon'))
    .sort()
    .map((name) => join(here, 'addon', name));
  for (const file of [...sources, join(here, 'binding.gyp')]) hash.update(readFileSync(file));
  hash.update(`${process.arch} ${require('node-addon-api/package.json').version}`);
  return hash.digest('hex');
}
