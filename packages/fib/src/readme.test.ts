import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('the README’s example runs and prints what it says', () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(`${root}/README.md`, 'utf8'))![1]!;
  const file = `${root}/.readme-${process.pid}.mjs`;
  writeFileSync(file, code);
  try {
    const printed = execFileSync(process.execPath, [file], { encoding: 'utf8' });
    expect(printed.trim().split('\n')).toEqual(
      [...code.matchAll(/^\/\/ ((?:resolve|glean|via|0\.0).*)$/gm)].map((line) => line[1]),
    );
  } finally {
    rmSync(file);
  }
});
