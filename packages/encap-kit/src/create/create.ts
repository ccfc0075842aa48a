import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const TEMPLATE = fileURLToPath(new URL('../../template', import.meta.url));
const OWN = fileURLToPath(new URL('../../package.json', import.meta.url));
const PREFIX = 'lbd-encap-';

export interface CreateOptions {
  /** Folder with tarballs of lbd's packages, to take them from instead of the registry. */
  readonly tarballs?: string;
}

/**
 * Writes a package with an encap, its test and its build into a new folder.
 * @param folder its last part is the encap's name, in kebab case; `lbd-encap-` in front of it is not part of the name
 * @returns the files written, relative to the folder
 * @throws Error that says what is wrong; then nothing was written
 */
export function createEncap(folder: string, { tarballs }: CreateOptions = {}): string[] {
  const name = basename(resolve(folder)).replace(new RegExp(`^${PREFIX}`), '');
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new Error(`encap name "${name}": must be in kebab case, as in my-encap`);
  }
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new Error(`${folder} is there already, and not empty`);
  cpSync(TEMPLATE, folder, { recursive: true });
  // npm would take these for its own, were they named so in the template.
  for (const file of ['package.json', 'gitignore']) {
    renameSync(join(folder, `_${file}`), join(folder, file === 'gitignore' ? '.gitignore' : file));
  }
  renameSync(join(folder, 'assembly/my-encap.ts'), join(folder, `assembly/${name}.ts`));
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
  for (const file of files) fillIn(join(folder, file), name);
  if (tarballs !== undefined) takeFrom(tarballs, folder);
  return files.sort();
}

function fillIn(file: string, name: string): void {
  const { version } = JSON.parse(readFileSync(OWN, 'utf8')) as { version: string };
  const camel = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const text = readFileSync(file, 'utf8')
    .replaceAll('my-encap', name)
    .replaceAll('myEncap', camel)
    .replaceAll('my_encap', name.replaceAll('-', '_'))
    .replaceAll('LBD_VERSION', version);
  writeFileSync(file, text);
}

/** Names each of lbd's packages by its tarball: what depends on one then finds it installed. */
function takeFrom(tarballs: string, folder: string): void {
  const file = join(folder, 'package.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  for (const name of readdirSync(tarballs)) {
    const [, part] = /^lbd-(?:(.+)-)?\d+\.\d+\.\d+\.tgz$/.exec(name) ?? [];
    if (!name.endsWith('.tgz')) continue;
    manifest.devDependencies[part === undefined ? 'lbd' : `@lbd/${part}`] = `file:${resolve(tarballs, name)}`;
  }
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
}
