import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseConfig } from '@lbd/control';
import { expect, it } from 'vitest';

const folder = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(join(folder, 'README.md'), 'utf8');

it('the configuration of the README is good', () => {
  const [, text] = /```yaml\n(.*?)```/s.exec(readme)!;
  expect(parseConfig(text!).vips).toHaveLength(1);
});

it('the program of the README prints what it should', () => {
  const [, example] = /```js\n(.*?)```/s.exec(readme)!;
  const scratch = mkdtempSync(join(folder, 'dist/readme-'));
  try {
    const file = join(scratch, 'example.mjs');
    writeFileSync(file, example!);
    expect(execFileSync(process.execPath, [file], { encoding: 'utf8' })).toBe('nat4 10.0.0.1/24\n');
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});
