import { expect, it } from 'vitest';
import { readmeExample, runReadmeExample } from '../../../tools/run/readme-example.mjs';

it('the example of the README prints what it says', () => {
  const [, said] = /console\.log.*\n\/\/ (.*)/.exec(readmeExample(import.meta.url))!;
  expect(runReadmeExample(import.meta.url).trim()).toBe(said);
});
