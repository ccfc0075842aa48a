import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { labSuite } from '../dist/index.js';

labSuite(describe, 'namespaces', 'the example of the README', () => {
  it('prints what it says', () => {
    const root = new URL('..', import.meta.url).pathname;
    const example = /```ts\n(.*?)```/s.exec(readFileSync(`${root}README.md`, 'utf8'))![1];
    // Inside the package, so that it can import it by its own name.
    const folder = mkdtempSync(`${root}dist/readme-`);
    try {
      writeFileSync(`${folder}/example.mjs`, example);
      const printed = execFileSync(process.execPath, [`${folder}/example.mjs`], { encoding: 'utf8' });
      expect(printed).toBe('10 { apache: 10 }\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
