import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/run/readme-example.mjs';

it('the example of the README prints what it says', () => {
  expect(runReadmeExample(import.meta.url)).toBe('epochs\n');
});
