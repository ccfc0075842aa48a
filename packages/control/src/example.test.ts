import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/run/readme-example.mjs';

it('the example of the README prints what it says', () => {
  expect(runReadmeExample(import.meta.url).split('\n')).toEqual([
    '10.10.2.2/32 1',
    'nat4 8080 -> 80',
    expect.stringMatching(/^LBD_INVALID_VALUE port 70000 is not allowed: must be a whole number from 1 to 65535/),
    '',
  ]);
});
