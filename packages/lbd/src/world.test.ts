import type { KernelChange, RouteTable } from '@lbd/fib';
import type { PortInfo } from '@lbd/io';
import { expect, it } from 'vitest';
import type { Interfaces } from './interfaces.ts';
import type { LocalAddresses } from './local-addresses.ts';
import { WorldSink } from './world.ts';

it('tells when an interface of lbd goes down, comes up and is deleted', () => {
  const told: string[] = [];
  const interfaces = { table: { update() {} }, nameOf: (index: number) => ['wan0', 'lan0'][index] };
  const routes = { attach() {}, apply() {} };
  const ports = [
    { index: 0, ifindex: 7 },
    { index: 1, ifindex: 8 },
  ] as PortInfo[];
  const sink = new WorldSink(
    ports,
    interfaces as unknown as Interfaces,
    routes as unknown as RouteTable,
    {} as LocalAddresses,
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
