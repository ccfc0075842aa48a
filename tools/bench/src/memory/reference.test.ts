import { expect, it } from 'vitest';
import { ReferencePath } from './reference.ts';

const here = it.runIf(process.arch === 'x64');

here.each(['gre4', 'nat4', 'l3dsr'])(
  'the C reference verifies its %s packets and measures when told to',
  async (encap) => {
    const reference = await ReferencePath.start(encap, 256);
    try {
      for (let turn = 0; turn < 2; turn++) {
        const measured = await reference.turn(10);
        expect(measured).toMatchObject({ encap, flows: 256, first: 256, untracked: 0, dropped: 0 });
        expect(measured.generatorNs).toBeGreaterThan(0);
      }
    } finally {
      await reference.stop();
    }
  },
);

here('an encap that it does not know is an error', async () => {
  await expect(ReferencePath.start('vxlan', 1)).rejects.toThrow('the C reference ended early');
});
