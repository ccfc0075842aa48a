import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/run/readme-example.mjs';
import { PcapReader } from './index.ts';

it('the example of the README copies a capture', () => {
  const cwd = mkdtempSync(join(tmpdir(), 'lbd-pcap-'));
  copyFileSync(new URL('../test/fixtures/mixed.pcap', import.meta.url), join(cwd, 'in.pcap'));
  try {
    const lines = runReadmeExample(import.meta.url, { cwd })
      .trim()
      .split('\n');
    expect([...PcapReader.open(join(cwd, 'copy.pcap'))]).toHaveLength(lines.length);
  } finally {
    rmSync(cwd, { recursive: true });
  }
});
