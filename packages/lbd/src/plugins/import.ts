import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Imports a package: looked for from the working directory first, where users install plugins, then beside lbd. */
export async function importPackage(name: string): Promise<Record<string, unknown>> {
  return await import(resolveFrom(process.cwd(), name) ?? name);
}

function resolveFrom(folder: string, name: string): string | undefined {
  try {
    return pathToFileURL(createRequire(join(folder, 'anything')).resolve(name)).href;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error; // it is there, but what is in its package.json leads nowhere
  }
}
