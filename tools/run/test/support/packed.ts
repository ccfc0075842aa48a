// The packages as somebody gets them who has nothing but npm: tarballs, and folders that they are installed into.
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { workspaceFolders } from '../../bootstrap.mjs';
import { ROOT } from '../../process.mjs';

const run = promisify(execFile);
const PNPM = join(ROOT, '.cache/pnpm/node_modules/.bin/pnpm');

export interface Published {
  /** Relative to the root. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly bin?: Record<string, string>;
  readonly dependencies?: Record<string, string>;
}

/** The packages that are published. */
export function publishedPackages(): Published[] {
  return (workspaceFolders() as string[])
    .map((folder) => ({ folder, ...JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) }))
    .filter((manifest) => !manifest.private);
}

/** Packs them all into a folder; returns the tarballs by the names of their packages. */
export async function packAll(into: string): Promise<Map<string, string>> {
  mkdirSync(into, { recursive: true });
  const tarballs = new Map<string, string>();
  for (const { folder, name, version } of publishedPackages()) {
    await run(PNPM, ['pack', '--pack-destination', into], { cwd: join(ROOT, folder) });
    tarballs.set(name, join(into, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`));
  }
  if (readdirSync(into).length !== tarballs.size) throw new Error(`packed are ${readdirSync(into)}`);
  return tarballs;
}

/** The packages among ours that some need, themselves included. */
export function closure(...names: string[]): Set<string> {
  const published = publishedPackages();
  const needed = new Set(names);
  for (const name of needed) {
    const { dependencies = {} } = published.find((one) => one.name === name)!;
    for (const dependency of Object.keys(dependencies)) {
      if (published.some((one) => one.name === dependency)) needed.add(dependency);
    }
  }
  return needed;
}

/**
 * Installs tarballs, with what they need of the registry, into a folder that has a package.json.
 * @param flags `--no-save`: the package.json stays as it is
 */
export async function install(folder: string, tarballs: Iterable<string>, ...flags: string[]): Promise<void> {
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...flags, ...tarballs], { cwd: folder });
}
