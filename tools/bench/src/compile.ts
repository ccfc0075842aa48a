import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const FLAGS = ['-O3', '-march=native', '-Wall', '-Wextra'];
const folder = new URL('../reference/', import.meta.url);
const cache = new URL('../../../.cache/bench/', import.meta.url);

/**
 * Compiles a program of the folder `reference/` and returns its path; only once for each version of the folder, flags
 * and processor. Needs a C compiler, `cc` unless the environment's CC names another.
 */
export async function compile(name: string): Promise<string> {
  const compiler = process.env.CC ?? 'cc';
  const path = fileURLToPath(new URL(`${name}-${await version(compiler)}`, cache));
  if (await exists(path)) return path;
  await mkdir(cache, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const source = fileURLToPath(new URL(`${name}.c`, folder));
  try {
    await promisify(execFile)(compiler, [...FLAGS, '-o', unfinished, source]);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`${name}.c does not compile with ${compiler}: ${stderr || String(error)}`);
  }
  await rename(unfinished, path);
  return path;
}

async function version(compiler: string): Promise<string> {
  const hash = createHash('sha256');
  hash.update([compiler, ...FLAGS, cpus()[0]?.model].join('\0'));
  for (const file of (await readdir(folder)).sort()) hash.update(await readFile(new URL(file, folder)));
  return hash.digest('hex').slice(0, 16);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
