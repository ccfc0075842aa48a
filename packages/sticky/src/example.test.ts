import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/run/readme-example.mjs';

it('the example of the README prints what it says', () => {
  expect(runReadmeExample(import.meta.url)).toBe('5,5 { live: 1, capacity: 4096 } Map(1) { 5 => 1 }\n');
});
