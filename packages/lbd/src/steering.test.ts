import type { Steering } from '@lbd/io';
import { expect, it } from 'vitest';
import { SteerAll } from './steering.ts';

/** A driver that has room for so many entries. */
function driver(room: number) {
  const entries: string[] = [];
  const add = (entry: string) => {
    if (entries.length === room) throw new Error('no room');
    entries.push(entry);
  };
  const remove = (entry: string) => void entries.splice(entries.indexOf(entry), 1);
  const steering: Steering = {
    addPrefix: add,
    removePrefix: remove,
    addReturn: (...entry) => add(entry.join(' ')),
    removeReturn: (...entry) => remove(entry.join(' ')),
    setNat: () => {},
    addNodePort: (...entry) => add(entry.join(' ')),
    removeNodePort: (...entry) => remove(entry.join(' ')),
    addLocalAddress: add,
    removeLocalAddress: remove,
    addTunnelSource: add,
    removeTunnelSource: remove,
  };
  return { entries, steering };
}

it('tells all drivers or none, when one has no room', () => {
  const [large, small] = [driver(9), driver(2)];
  const all = new SteerAll([large.steering, small.steering], new Map());
  all.addPrefix('10.0.0.0/8');
  all.addReturn('10.0.0.1', 6, 80);
  expect(() => all.addPrefix('11.0.0.0/8')).toThrow('no room');
  expect(() => all.addReturn('10.0.0.2', 6, 80)).toThrow('no room');
  expect(large.entries).toEqual(['10.0.0.0/8', '10.0.0.1 6 80']);
  expect(small.entries).toEqual(large.entries);
});
