import { IpTables, RouteTable } from '@lbd/fib';
import { Arena } from '@lbd/memory';
import { median } from '../statistics.ts';
import { nth } from './addresses.ts';
import type { Value } from './measures.ts';
import { internetTable } from './prefixes.ts';
import { megabytes, random, times } from './process-memory.ts';

const LOOKUPS = 1 << 22;
const IFINDEX = 1;
const GATEWAYS = 64;

/** The kernel's routes as a BGP router has them: so many prefixes over 64 gateways, each change followed as netlink tells it. */
export async function fib4(count: number): Promise<Value[]> {
  const prefixes = internetTable(count);
  const arena = Arena.create(2 ** 30);
  const tables = new IpTables(arena);
  const routes = new RouteTable(tables);
  const link = { ifindex: IFINDEX, name: 'a', mac: '02:00:00:00:00:01', mtu: 1500, up: true, carrier: true };
  routes.apply({ kind: 'link', before: undefined, now: link });
  routes.attach(IFINDEX, 0);
  const route = ({ address, length }: { address: number; length: number }, way: number) => ({
    destination: `${nth(address, 0)}/${length}`,
    table: 254,
    type: 'unicast' as const,
    metric: 0,
    tos: 0,
    nexthops: [{ ifindex: IFINDEX, gateway: `10.1.2.${1 + way}`, weight: 1, dead: false }],
  });
  const change = (i: number, from: number | undefined, to: number | undefined) =>
    routes.apply({
      kind: 'route',
      before: from === undefined ? undefined : route(prefixes[i]!, from),
      now: to === undefined ? undefined : route(prefixes[i]!, to),
    } as Parameters<RouteTable['apply']>[0]);
  const all = { address: 0, length: 0 };
  routes.apply({ kind: 'route', before: undefined, now: route(all, 0) });

  const before = megabytes();
  const used = arena.remaining;
  const begun = performance.now();
  for (let i = 0; i < count; i++) change(i, undefined, i % GATEWAYS);
  const load = performance.now() - begun;
  const after = megabytes();

  // Addresses in prefixes that there are, in random order.
  const next = random();
  const wanted = Uint32Array.from({ length: LOOKUPS }, () => {
    const { address, length } = prefixes[next() % count]!;
    return address + (next() % 2 ** (32 - length));
  });
  let sum = 0;
  const lookups = await times(7, () => {
    for (let n = 0; n < LOOKUPS; n++) sum ^= tables.fib4.lookup(wanted[n]!);
  });
  const flaps = await times(2000, (n) => {
    const i = (n * 7919) % count;
    change(i, i % GATEWAYS, undefined);
    change(i, undefined, i % GATEWAYS);
  });
  const defaults = await times(6, (n) =>
    routes.apply({ kind: 'route', before: route(all, n % 2), now: route(all, 1 - (n % 2)) }),
  );
  if (sum === -1) throw new Error('never');
  return [
    { name: 'load', value: load / 1000, unit: 's' },
    { name: 'JavaScript heap', value: after.heap - before.heap, unit: 'MiB' },
    { name: 'linear memory', value: (used - arena.remaining) / 2 ** 20, unit: 'MiB' },
    { name: 'a lookup, random', value: (median(lookups) * 1e6) / LOOKUPS, unit: 'ns' },
    { name: 'a route goes and comes', value: median(flaps) * 1000, unit: 'µs' },
    { name: 'another default route', value: median(defaults), unit: 'ms' },
  ];
}
