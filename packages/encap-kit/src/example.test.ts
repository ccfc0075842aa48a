import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/run/readme-example.mjs';

it('the example of the README prints what it says', () => {
  const [first, second] = runReadmeExample(import.meta.url)
    .trim()
    .split('\n');
  expect(first).toBe('true');
  expect(second).toMatch(/^ip4: carries TCP, the first packet: the destination is 90.0.0.1, must be 10.0.0.\d$/);
});
