import { describe, expect, it } from 'vitest';
import { describeStalls, measureStalls, millisecondsInLongPauses } from '../src/stalls/run.ts';
import { missing } from '../src/veth/requirements.ts';

const why = missing();
const seconds = Number(process.env.LBD_STALL_SECONDS ?? 300);

describe.skipIf(why !== undefined)(`a worker at half its rate${why === undefined ? '' : ` (${why})`}`, () => {
  it('has no pauses of a millisecond that are its own, whatever changes', async () => {
    const stalls = await measureStalls({ seconds });
    console.log(describeStalls(stalls));
    // Those that it has are the machine's: stolen, or others run on its core. (A bucket's least is counted, so there is slack.)
    const machine = stalls.steal + stalls.waited + stalls.control.long * seconds * 1000;
    expect(millisecondsInLongPauses(stalls.counts)).toBeLessThanOrEqual(machine);
  });
});
