// For the tests that hold a README to its word.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The first example of a README, its first block of ts or js.
 * @param {string} test URL of a test in the package's src (import.meta.url)
 */
export function readmeExample(test) {
  const readme = readFileSync(new URL('../README.md', test), 'utf8');
  return /```(?:ts|js)\n(.*?)```/s.exec(readme)[1];
}

/**
 * Runs it as a program would be that depends on the package: from inside the package, so that node resolves its imports.
 * @param {string} test URL of a test in the package's src (import.meta.url)
 * @param {{ cwd?: string }} options
 * @returns {string} what it printed
 */
export function runReadmeExample(test, options = {}) {
  const scratch = mkdtempSync(fileURLToPath(new URL('../.readme-', test)));
  try {
    const file = join(scratch, 'example.mjs');
    writeFileSync(file, readmeExample(test));
    return execFileSync(process.execPath, [file], { encoding: 'utf8', ...options });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
