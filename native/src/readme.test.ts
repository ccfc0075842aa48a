import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('runs the example of the README', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const example = /```ts\n(.*?)```/s.exec(readme)![1]!;
  const file = fileURLToPath(new URL(`../.example-${process.pid}.mjs`, import.meta.url));
  writeFileSync(file, example);
  try {
    expect(execFileSync(process.execPath, [file], { encoding: 'utf8' })).toMatch(
      /^loopback is interface 1 with an MTU of \d+\n1 file descriptor is ready\nENODEV if_nametoindex of nowhere0: ENODEV/,
    );
  } finally {
    rmSync(file);
  }
});
