import { expect, it } from 'vitest';
import { scaleBench } from '../src/scale/bench.ts';

it('the scale benchmark measures at half and at full size', async () => {
  const printed: string[] = [];
  const options = { only: ['new-flow-table'], rounds: 1, shrink: 100 };
  const { results, figures } = await scaleBench(options, (text) => printed.push(text));
  expect(results.map(({ name }) => name)).toEqual(expect.arrayContaining(['change a weight']));
  for (const { half, full, name } of results) expect([half.length, full.length], name).toEqual([1, 1]);
  expect(figures.length).toBe(results.length);
  expect(printed.join('\n')).toContain('10 ASs');
}, 120_000);
