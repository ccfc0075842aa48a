import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/run/readme-example.mjs';

it('the example of the README prints what it says', () => {
  expect(runReadmeExample(import.meta.url)).toMatch(/^10\.1\.1\.[123]\n$/);
});
