import { expect, it } from 'vitest';
import { internetTable } from './prefixes.ts';

const table = internetTable(20_000);

it('has so many different prefixes, without bits beyond their lengths', () => {
  const seen = new Set(table.map(({ address, length }) => `${address}/${length}`));
  expect(seen.size).toBe(20_000);
  for (const { address, length } of table) expect(address % 2 ** (32 - length)).toBe(0);
});

it('has the lengths of the Internet’s table: most are /24, few are shorter than /16', () => {
  const share = (wanted: (length: number) => boolean) => table.filter(({ length }) => wanted(length)).length / 20_000;
  expect(share((length) => length === 24)).toBeCloseTo(0.61, 1);
  expect(share((length) => length >= 20 && length < 24)).toBeCloseTo(0.32, 1);
  expect(share((length) => length < 16)).toBeLessThan(0.01);
});

it('is the same each time', () => {
  expect(internetTable(100)).toEqual(table.slice(0, 100));
});
