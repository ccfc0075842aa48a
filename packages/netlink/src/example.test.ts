import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/run/readme-example.mjs';

it('the example of the README prints what it says', () => {
  expect(runReadmeExample(import.meta.url)).toMatch(/^lo 00:00:00:00:00:00 \d+ (up|down)$/m);
});
