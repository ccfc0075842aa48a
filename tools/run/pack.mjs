// npm run pack: builds, then packs what is published into .cache/tarballs, for npm to install.
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bootstrap, workspaceFolders } from './bootstrap.mjs';
import { program, ROOT } from './process.mjs';

const PNPM = join(ROOT, '.cache/pnpm/node_modules/.bin/pnpm');

/** The manifests of the packages that are published, each with its `folder`, relative to the root. */
export function publishedPackages() {
  return workspaceFolders()
    .map((folder) => ({ folder, ...JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) }))
    .filter((manifest) => !manifest.private);
}

/** Packs them all into a folder; returns the tarballs by the names of their packages. */
export async function packAll(into) {
  mkdirSync(into, { recursive: true });
  const tarballs = new Map();
  const packages = publishedPackages();
  for (const { name, version } of packages) {
    tarballs.set(name, join(into, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`));
  }
  const next = packages.values();
  const packOnes = async () => {
    for (const { folder } of next) {
      await promisify(execFile)(PNPM, ['pack', '--pack-destination', into], { cwd: join(ROOT, folder) });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, packOnes));
  if (readdirSync(into).length !== tarballs.size) throw new Error(`packed are ${readdirSync(into)}`);
  return tarballs;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await program(async () => {
    await bootstrap('build');
    const into = join(ROOT, '.cache/tarballs');
    rmSync(into, { recursive: true, force: true });
    const tarballs = await packAll(into);
    console.log(`${tarballs.size} packages in ${relative(process.cwd(), into)}`);
    return 0;
  });
}
