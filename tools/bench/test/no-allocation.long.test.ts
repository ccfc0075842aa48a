import { expect, it } from 'vitest';
import { measureAllocation, warmPath } from '../src/memory/allocation.ts';

/** In all. */
const PACKETS = 100_000_000;
const WAYS = ['nat4', 'nat4-reply', 'ip6-gre4'];
const FLOWS = 1024;
const WARM_UP = 20_000_000;
/** The least object has 16 bytes: one for each vector of 256 packets would be 2 MB for each way. */
const VECTORS_OBJECTS = (PACKETS / WAYS.length / 256) * 16;
/** What the compiler allocates at times, whatever passes, is up to 200 KB. */
const MOST_ALLOCATED = VECTORS_OBJECTS / 4;
const MOST_KEPT = 64 * 1024;

it.each(WAYS)('passes packets without allocating anything: %s', async (way) => {
  const rig = await warmPath(way, FLOWS, WARM_UP);
  const packets = Math.ceil(PACKETS / WAYS.length);
  const { allocated, kept, collections } = await measureAllocation(() => rig.pass(packets));
  console.log(`${way}: ${packets} packets: ${allocated} bytes allocated, ${kept} kept, ${collections} collections`);
  expect(collections).toBe(0);
  expect(allocated).toBeLessThan(MOST_ALLOCATED);
  expect(kept).toBeLessThan(MOST_KEPT);
});
