import { readFileSync } from 'node:fs';
import { parseConfig } from '@lbd/control';
import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/run/readme-example.mjs';

it('the configuration of the README is good', () => {
  const [, text] = /```yaml\n(.*?)```/s.exec(readFileSync(new URL('../README.md', import.meta.url), 'utf8'))!;
  expect(parseConfig(text!).vips).toHaveLength(1);
});

it('the program of the README prints what it says', () => {
  expect(runReadmeExample(import.meta.url)).toBe('nat4 10.0.0.1/24\n');
});
