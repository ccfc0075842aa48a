import { describe, expect, it } from 'vitest';
import { vethBench } from '../src/veth/bench.ts';
import { ONE_QUEUE, TWO_QUEUES } from '../src/veth/devices.ts';
import { missing } from '../src/veth/requirements.ts';

const why = missing();

describe.skipIf(why !== undefined)(`the veth benchmark${why === undefined ? '' : ` (${why})`}`, () => {
  it.each([ONE_QUEUE, TWO_QUEUES])(
    'gets packets through every device: $name',
    async (comparison) => {
      const printed: string[] = [];
      const measured = await vethBench(comparison, { flows: 256, rounds: 1, milliseconds: 200 }, (text) =>
        printed.push(text),
      );
      for (const { mpps, title } of measured!.results) expect(mpps.median, title).toBeGreaterThan(0.001);
      expect(printed.join('\n')).toContain('nftables DNAT');
    },
    60_000,
  );
});
