import { describe, expect, it } from 'vitest';
import { vethBench } from '../src/veth/bench.ts';
import { missing } from '../src/veth/requirements.ts';

const why = missing();

describe.skipIf(why !== undefined)(`the veth benchmark${why === undefined ? '' : ` (${why})`}`, () => {
  it('gets packets through every device', async () => {
    const printed: string[] = [];
    const measured = await vethBench({ flows: 256, rounds: 1, milliseconds: 200 }, (text) => printed.push(text));
    for (const { mpps, title } of measured!.results) expect(mpps.median, title).toBeGreaterThan(0.001);
    expect(printed.join('\n')).toContain('nftables DNAT');
  }, 60_000);
});
