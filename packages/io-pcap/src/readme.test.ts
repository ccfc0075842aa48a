import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { PcapReader } from './index.ts';

it('the example of the README runs', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const example = /```js\n(.*?)```/s.exec(readme)![1]!;
  const file = fileURLToPath(new URL(`../dist/readme-${process.pid}.mjs`, import.meta.url));
  const cwd = mkdtempSync(join(tmpdir(), 'lbd-pcap-'));
  writeFileSync(file, example);
  copyFileSync(new URL('../test/fixtures/mixed.pcap', import.meta.url), join(cwd, 'in.pcap'));
  try {
    const lines = execFileSync(process.execPath, [file], { cwd, encoding: 'utf8' }).trim().split('\n');
    expect([...PcapReader.open(join(cwd, 'copy.pcap'))]).toHaveLength(lines.length);
  } finally {
    rmSync(file);
    rmSync(cwd, { recursive: true });
  }
});
