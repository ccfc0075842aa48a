import { expect, it } from 'vitest';
import { runReadmeExample } from '../../tools/run/readme-example.mjs';

it('the example of the README prints what it says', () => {
  expect(runReadmeExample(import.meta.url)).toMatch(
    /^loopback is interface 1 with an MTU of \d+\n1 file descriptor is ready\nENODEV if_nametoindex of nowhere0: ENODEV/,
  );
});
