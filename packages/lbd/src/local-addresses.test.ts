import type { KernelRoute } from '@lbd/fib';
import { expect, it } from 'vitest';
import { LocalAddresses } from './local-addresses.ts';

const route = (destination: string, other: Partial<KernelRoute> = {}): KernelRoute => ({
  destination,
  table: 255,
  type: 'local',
  metric: 0,
  tos: 0,
  nexthops: [],
  ...other,
});

function addresses(failure?: Error) {
  const log: string[] = [];
  const errors: unknown[] = [];
  const addLocalAddress = (address: string) => {
    if (failure) throw failure;
    log.push(`+${address}`);
  };
  const steering = { addLocalAddress, removeLocalAddress: (address: string) => void log.push(`-${address}`) };
  return { log, errors, locals: new LocalAddresses(steering, (error) => errors.push(error)) };
}

it('tells of local addresses of both families as they come, change and go', () => {
  const { log, locals } = addresses();
  const [four, six] = [route('10.0.0.1/32'), route('2001:DB8::1/128')];
  locals.routeChanged(undefined, four);
  locals.routeChanged(undefined, six);
  locals.routeChanged(four, { ...four, metric: 7 });
  locals.routeChanged(six, { ...six, type: 'unicast' });
  locals.routeChanged(four, undefined);
  expect(log).toEqual(['+10.0.0.1', '+2001:db8::1', '-2001:db8::1', '-10.0.0.1']);
});

it.each([
  ['loopback', route('127.0.0.1/32')],
  ['all of loopback', route('127.0.0.0/8')],
  ['loopback over IPv6', route('::1/128')],
  ['link-local', route('fe80::1/128')],
  ['a whole prefix', route('10.0.0.0/8')],
  ['broadcast', route('10.0.0.255/32', { type: 'broadcast' })],
  ['anycast', route('2001:db8::/128', { type: 'anycast' })],
  ['another table', route('10.0.0.1/32', { table: 254 })],
])('leaves out %s', (_, one) => {
  const { log, locals } = addresses();
  locals.routeChanged(undefined, one);
  locals.routeChanged(one, undefined);
  expect(log).toEqual([]);
});

it('goes on when a driver has no room, and says so', () => {
  const failure = new Error('no room');
  const { errors, locals } = addresses(failure);
  locals.routeChanged(undefined, route('10.0.0.1/32'));
  expect(errors).toEqual([failure]);
});
