import { describe, expect, it } from 'vitest';
import { inTurn, median, ratios, spread } from './statistics.ts';

describe('median', () => {
  it('is the middle value, or the mean of the two middle ones', () => {
    expect(median([10, 9, 100])).toBe(10);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
  it('does not reorder what it is given', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
  it('of nothing is an error', () => {
    expect(() => median([])).toThrow(RangeError);
  });
});

it('spread has the extremes too', () => {
  expect(spread([5, 1, 2])).toEqual({ median: 2, min: 1, max: 5 });
});

it('ratios pair what belongs to one round', () => {
  // The second round ran on a machine half as fast: the quotients are the same, those of the medians are too, and yet
  // a quotient across rounds would be 4 or 1.
  expect(ratios([20, 40], [10, 20])).toEqual({ median: 2, min: 2, max: 2 });
});

it('inTurn alternates', async () => {
  const order: string[] = [];
  const results = await inTurn(
    2,
    () => order.push('a'),
    async () => order.push('b'),
  );
  expect(order).toEqual(['a', 'b', 'a', 'b']);
  expect(results).toEqual([
    [1, 3],
    [2, 4],
  ]);
});
