import { parseConfig } from '@lbd/control';
import { DPO_RECEIVE, dpoType, IpTables, RouteTable } from '@lbd/fib';
import type { PortInfo } from '@lbd/io';
import { Arena, Epochs } from '@lbd/memory';
import { addressBytes } from '@lbd/packet';
import { expect, it } from 'vitest';
import type { Interfaces } from './interfaces.ts';
import { LocalAddresses } from './local-addresses.ts';
import { StaticWorld } from './static-world.ts';
import { WorldSink } from './world.ts';

const port: PortInfo = { driver: 'pcap', index: 0, name: 'eth0', ifindex: 0, mode: '', queues: 1, details: {} };
const config = parseConfig(`
interfaces: [{ name: eth0, driver: pcap, in: in.pcap, out: out.pcap }]
static:
  interfaces: [{ name: eth0, mac: '02:00:00:00:00:01', addresses: [10.0.0.1/24, '2001:db8::1/64'] }]
`);

it('receives what is sent to the addresses of its interfaces, and tells drivers of them', () => {
  const arena = Arena.create(64 * 1024 * 1024);
  const routes = new RouteTable(new IpTables(arena, new Epochs(arena, 1)), {});
  const interfaces = { table: { update: () => {} }, setAddress: () => {} } as unknown as Interfaces;
  const told: string[] = [];
  const addLocalAddress = (address: string) => void told.push(address);
  const locals = new LocalAddresses({ addLocalAddress, removeLocalAddress: () => {} }, (error) => {
    throw error;
  });
  new StaticWorld(
    config.static,
    [port],
    new WorldSink([port], interfaces, routes, locals, (error) => {
      throw error;
    }),
  );
  const receives = (address: string) => dpoType(routes.lookup(addressBytes(address))) === DPO_RECEIVE;
  expect(['10.0.0.1', '2001:db8::1'].map(receives)).toEqual([true, true]);
  expect(['10.0.0.2', '10.0.0.255', '2001:db8::2', '192.0.2.1'].map(receives)).toEqual(Array(4).fill(false));
  expect(told).toEqual(['10.0.0.1', '2001:db8::1']);
});
