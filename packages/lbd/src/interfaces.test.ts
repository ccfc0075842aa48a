import { type FeatureTable, type GraphLayout, MAX_INTERFACES } from '@lbd/graph';
import type { PortInfo } from '@lbd/io';
import { Arena } from '@lbd/memory';
import { expect, it } from 'vitest';
import { Interfaces } from './interfaces.ts';

it('has ICMPv6 errors come from a link-local address only where there is no other', () => {
  const arena = Arena.create(1 << 20);
  const layout = { interfaces: arena.allocate('table', MAX_INTERFACES * 64), arcs: {}, workers: [] };
  const features = { set() {} } as unknown as FeatureTable;
  const ports = [{ driver: 'pcap', index: 0, name: 'wan0', ifindex: 7 }] as unknown as PortInfo[];
  const interfaces = new Interfaces(arena.memory, layout as unknown as GraphLayout, features, ports, ['pcap']);
  const source = () => interfaces.table.get(0).ip6;

  interfaces.setAddress(0, 'fe80::1/64', true); // the kernel makes it when the interface comes up
  expect(source()).toBe('fe80::1');
  interfaces.setAddress(0, '2001:db8::1/64', true);
  interfaces.setAddress(0, '10.0.0.1/24', true);
  expect(source()).toBe('2001:db8::1');
  expect(interfaces.table.get(0).ip4).toBe('10.0.0.1');
  interfaces.setAddress(0, '2001:db8::1/64', false);
  expect(source()).toBe('fe80::1');
});
