import type { KernelChange, RouteTable } from '@lbd/fib';
import type { PortInfo } from '@lbd/io';
import { expect, it } from 'vitest';
import type { Interfaces } from './interfaces.ts';
import type { LocalAddresses } from './local-addresses.ts';
import { WorldSink } from './world.ts';

it('tells when an interface of lbd goes down, comes up and is deleted', () => {
  const told: string[] = [];
  const interfaces = { table: { update() {} }, nameOf: (index: number) => ['wan0', 'lan0'][index] };
  const routes = { attach() {}, applyAll() {} };
  const ports = [
    { index: 0, ifindex: 7 },
    { index: 1, ifindex: 8 },
  ] as PortInfo[];
  const sink = new WorldSink(
    ports,
    interfaces as unknown as Interfaces,
    routes as unknown as RouteTable,
    {} as LocalAddresses,
    () => {},
    (name, state) => told.push(`${name} ${state}`),
  );
  const link = (ifindex: number, up: boolean, carrier = up) => ({ ifindex, mac: '', mtu: 1500, up, carrier });
  const now = (...args: Parameters<typeof link>) => sink.change({ kind: 'link', now: link(...args) } as KernelChange);

  now(7, true);
  now(8, true, false);
  now(9, false); // not of lbd
  expect(told.splice(0)).toEqual(['lan0 down']);
  now(8, true);
  now(7, true); // another MTU, say
  expect(told.splice(0)).toEqual(['lan0 up']);
  sink.change({ kind: 'link', before: link(8, true) } as KernelChange);
  expect(told).toEqual(['lan0 gone']);
});

it('hands over all that a turn tells at once, and tells what can not be taken over', async () => {
  const handed: number[] = [];
  const errors: unknown[] = [];
  const routes = {
    attach() {},
    applyAll(changes: readonly KernelChange[]) {
      handed.push(changes.length);
      throw new Error('no room');
    },
  };
  const locals = { routeChanged() {} } as unknown as LocalAddresses;
  const sink = new WorldSink([], {} as Interfaces, routes as unknown as RouteTable, locals, (error) => {
    errors.push(error);
  });
  // far more than a call takes arguments
  for (let i = 0; i < 300_000; i++) sink.change({ kind: 'route', before: undefined, now: undefined });
  await Promise.resolve();
  expect(handed).toEqual([300_000]);
  expect(errors).toEqual([new Error('no room')]);
});
