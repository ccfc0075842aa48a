import { expect, it } from 'vitest';
import { clockReader } from './clock.ts';

it('clockReader writes the monotonic clock, which process.hrtime reads, too', () => {
  const cell = new Float64Array(1);
  const read = clockReader(cell);
  let before = Number(process.hrtime.bigint()) / 1e6;
  for (let i = 0; i < 1000; i++) {
    read();
    const after = Number(process.hrtime.bigint()) / 1e6;
    expect(cell[0]).toBeGreaterThanOrEqual(before - 1e-3);
    expect(cell[0]).toBeLessThanOrEqual(after + 1e-3);
    before = cell[0]!;
  }
});

it('clockReader refuses an array without elements', () => {
  expect(() => clockReader(new Float64Array(0))).toThrow(RangeError);
});
