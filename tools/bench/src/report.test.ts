import { expect, it } from 'vitest';
import { compare, type Figure, makeReport } from './report.ts';
import type { Spread } from './statistics.ts';

const report = (figures: Record<string, [number, number, number]>, lessIsBetter = true) =>
  makeReport(
    Object.entries(figures).map(([name, [min, median, max]]): Figure => {
      const ratio: Spread = { min, median, max };
      return { name, of: 'lbd / C', lessIsBetter, ratio };
    }),
    {},
  );
const lines = (text: string) => text.split('\n').slice(1);

it('calls a change better or worse only where the ranges do not touch', () => {
  const before = report({ a: [1.9, 2, 2.1], b: [1.9, 2, 2.1], c: [1.9, 2, 2.1] });
  const now = report({ a: [1.4, 1.5, 1.6], b: [2.0, 2.2, 2.4], c: [2.4, 2.5, 2.6], d: [1, 1, 1] });
  const [a, b, c, d] = lines(compare(before, now));
  expect(a).toMatch(/^a .* 2\.00 +1\.50 +-25\.0% +better$/);
  expect(b).toMatch(/\+10\.0% +same within noise$/);
  expect(c).toMatch(/\+25\.0% +worse$/);
  expect(d).toMatch(/- +1\.00 +new$/);
});

it('knows which way is better', () => {
  const [a] = lines(compare(report({ a: [1, 1, 1] }, false), report({ a: [2, 2, 2] }, false)));
  expect(a).toMatch(/better$/);
});
