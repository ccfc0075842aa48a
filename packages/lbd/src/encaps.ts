import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ControlError } from '@lbd/control';
import type { Encap } from '@lbd/lb';

/** The encaps that come with lbd, by package. */
const BUILT_IN = ['@lbd/encap-gre', '@lbd/encap-l3dsr', '@lbd/encap-nat'];

/**
 * The encaps of lbd and of plugins: every export of a package that is an encap. Every thread loads the same.
 * @throws ControlError LBD_PLUGIN
 */
export async function loadEncaps(plugins: readonly string[]): Promise<Encap[]> {
  const encaps: Encap[] = [];
  for (const name of [...BUILT_IN, ...plugins]) {
    const found = Object.values(await importPackage(name)).filter(isEncap);
    if (found.length === 0) throw new ControlError('LBD_PLUGIN', `plugin ${name} exports no encap (see defineEncap)`);
    for (const encap of found) {
      if (encaps.some((other) => other.name === encap.name)) {
        throw new ControlError('LBD_PLUGIN', `plugin ${name}: there is an encap ${encap.name} already`);
      }
      encaps.push(encap);
    }
  }
  return encaps;
}

/** A package is looked for from the working directory first, where users install plugins, then beside lbd. */
async function importPackage(name: string): Promise<Record<string, unknown>> {
  try {
    return await import(resolveFrom(process.cwd(), name) ?? name);
  } catch (error) {
    const [why] = (error as Error).message.split('\n');
    throw new ControlError('LBD_PLUGIN', `plugin ${name} can't be loaded: ${why}`);
  }
}

function resolveFrom(folder: string, name: string): string | undefined {
  try {
    return pathToFileURL(createRequire(join(folder, 'anything')).resolve(name)).href;
  } catch {
    return undefined;
  }
}

function isEncap(value: unknown): value is Encap {
  const encap = value as Partial<Encap> | null;
  return (
    typeof encap === 'object' &&
    encap !== null &&
    typeof encap.name === 'string' &&
    typeof encap.nodes === 'function' &&
    Array.isArray(encap.vipFamilies)
  );
}
