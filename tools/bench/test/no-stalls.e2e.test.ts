import { describe, expect, it } from 'vitest';
import { describeStalls, measureStalls } from '../src/stalls/run.ts';
import { missing } from '../src/veth/requirements.ts';

const why = missing();

// How long pauses are is for no-stalls.long.test.ts: while other tests run, they say nothing about lbd.
describe.skipIf(why !== undefined)(`a worker at half its rate${why === undefined ? '' : ` (${why})`}`, () => {
  it('counts its pauses while servers and VIPs come and go', async () => {
    const stalls = await measureStalls({ seconds: 4 });
    expect(stalls.changes).toBeGreaterThanOrEqual(3);
    expect(stalls.counts.reduce((sum, n) => sum + n)).toBeGreaterThan(1000);
    expect(stalls.longest).toBeGreaterThan(0);
    expect(describeStalls(stalls)).toContain('longest pause');
  }, 60_000);
});
