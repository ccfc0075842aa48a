// The packages as somebody gets them who has nothing but npm: tarballs, and folders that they are installed into.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as pack from '../../pack.mjs';

const run = promisify(execFile);

export interface Published {
  /** Relative to the root. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly bin?: Record<string, string>;
  readonly dependencies?: Record<string, string>;
}

/** The packages that are published. */
export const publishedPackages = (): Published[] => pack.publishedPackages();

/** Packs them all into a folder; returns the tarballs by the names of their packages. */
export const packAll = (into: string): Promise<Map<string, string>> => pack.packAll(into);

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
