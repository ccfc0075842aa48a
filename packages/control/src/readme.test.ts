import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const folder = fileURLToPath(new URL('..', import.meta.url));

it('the example of the README prints what it should', () => {
  const [, example] = /```js\n(.*?)```/s.exec(readFileSync(join(folder, 'README.md'), 'utf8'))!;
  const scratch = mkdtempSync(join(folder, 'dist/readme-'));
  try {
    const file = join(scratch, 'example.mjs');
    writeFileSync(file, example!);
    expect(execFileSync(process.execPath, [file], { encoding: 'utf8' }).split('\n')).toEqual([
      '10.10.2.2/32 1',
      'nat4 8080 -> 80',
      expect.stringMatching(/^LBD_INVALID_VALUE port 70000 is not allowed: must be a whole number from 1 to 65535/),
      '',
    ]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});
