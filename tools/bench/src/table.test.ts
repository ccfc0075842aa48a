import { expect, it } from 'vitest';
import { table } from './table.ts';

it('aligns names to the left and figures to the right', () => {
  const rows = [
    ['nat4', '43.0'],
    ['ip4-input', '7.5'],
  ];
  expect(table(['node', 'ns'], rows)).toBe('node         ns\nnat4       43.0\nip4-input   7.5');
});
