import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('the example of the README runs', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const example = /```js\n(.*?)```/s.exec(readme)![1]!;
  const file = fileURLToPath(new URL(`../dist/readme-${process.pid}.mjs`, import.meta.url));
  writeFileSync(file, example);
  try {
    expect(execFileSync(process.execPath, [file], { encoding: 'utf8' })).toMatch(
      /^lo 00:00:00:00:00:00 \d+ (up|down)$/m,
    );
  } finally {
    rmSync(file);
  }
});
