import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const folder = fileURLToPath(new URL('..', import.meta.url));

it('the example of the README prints what it should', () => {
  const [, example] = /```js\n(.*?)```/s.exec(readFileSync(join(folder, 'README.md'), 'utf8'))!;
  // Inside the package, so that node resolves its imports as a user's would be.
  const scratch = mkdtempSync(join(folder, 'dist/readme-'));
  try {
    const file = join(scratch, 'example.mjs');
    writeFileSync(file, example!);
    expect(execFileSync(process.execPath, [file], { encoding: 'utf8' })).toBe(
      '5,5 { live: 1, capacity: 4096 } Map(1) { 5 => 1 }\n',
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});
