import { expect, it } from 'vitest';
import type { Change } from './change.ts';
import { KernelMirror } from './kernel-mirror.ts';
import type { Neighbour } from './neighbour.ts';
import type { Follower, RtNetlink } from './rtnetlink.ts';

it('keeps up with what the kernel tells while a list fails', async () => {
  let follower: Follower | undefined;
  let refuse: ((error: Error) => void) | undefined;
  let fails = false;
  const netlink = {
    follow: (its: Follower) => {
      follower = its;
    },
    links: async () => [],
    addresses: async () => [],
    neighbours: async () => [],
    routes: () =>
      fails
        ? new Promise((_, reject) => {
            refuse = reject;
          })
        : Promise.resolve([]),
  };
  const errors: Error[] = [];
  const mirror = await KernelMirror.start(netlink as unknown as RtNetlink, { onError: (error) => errors.push(error) });
  const tell = (mac: string): void => {
    const value: Neighbour = { family: 4, ifindex: 2, address: '10.0.0.2', mac, state: 'reachable', router: false };
    follower!.change({ kind: 'neighbour', action: 'new', value, flags: 0 } as Change);
  };

  fails = true;
  follower!.overrun();
  while (!refuse) await Promise.resolve();
  tell('02:00:00:00:00:01');
  refuse(new Error('no memory'));
  await expect(mirror.settled()).rejects.toThrow('no memory');
  expect(errors).toEqual([new Error('no memory')]);
  expect(mirror.neighbour(2, '10.0.0.2')?.mac).toBe('02:00:00:00:00:01');
});
