import { expect, it } from 'vitest';
import { coreTimes, coreUse } from './counters.ts';

const stat = (line: string) => coreTimes(`cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 ${line} 0 0\nintr 5\n`);

it('coreUse is the share of the time between two readings', () => {
  //                user nice system idle iowait irq softirq steal
  const before = stat('100 0 50 1000 10 0 20 0');
  const after = stat('130 10 60 1030 20 0 30 0');
  expect(coreUse(before, after)).toEqual([{ busy: 0.6, user: 0.4, softirq: 0.1 }]);
});
