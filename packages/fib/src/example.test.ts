import { expect, it } from 'vitest';
import { readmeExample, runReadmeExample } from '../../../tools/run/readme-example.mjs';

it('the example of the README prints what it says', () => {
  const said = [...readmeExample(import.meta.url).matchAll(/^\/\/ ((?:resolve|glean|via|0\.0).*)$/gm)].map(
    (line) => line[1],
  );
  expect(
    runReadmeExample(import.meta.url)
      .trim()
      .split('\n'),
  ).toEqual(said);
});
