import { Arena, type Memory } from '@lbd/memory';
import { addressBytes } from '@lbd/packet';
import * as fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { dpo, dpoIndex, dpoType, NO_ROUTE } from './dpo.ts';
import type { KernelChange, KernelNextHop, KernelRoute } from './kernel-changes.ts';
import * as L from './layout.ts';
import { RouteTable } from './route-table.ts';
import { IpTables } from './tables.ts';

const MAC = (n: number) => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}`;
/** Interfaces 0 (lan, kernel's 10) and 1 (wan, 11) are lbd's; 12 is not. */
const LAN = 10;
const WAN = 11;

let memory: Memory;
let tables: IpTables;
let routes: RouteTable;
let asked: string[];

const way = (ifindex: number, gateway = '', weight = 1): KernelNextHop => ({ ifindex, gateway, weight, dead: false });
const route = (destination: string, ...nexthops: KernelNextHop[]): KernelRoute => ({
  destination,
  table: 254,
  type: 'unicast',
  metric: 0,
  tos: 0,
  nexthops,
});
const add = (now: KernelRoute): KernelChange => ({ kind: 'route', before: undefined, now });
const del = (before: KernelRoute): KernelChange => ({ kind: 'route', before, now: undefined });
const neighbour = (ifindex: number, address: string, mac: string, state = 'reachable'): KernelChange => ({
  kind: 'neighbour',
  before: undefined,
  now: { ifindex, address, mac, state },
});
const link = (ifindex: number, mac: string, up = true, mtu = 1500): KernelChange => ({
  kind: 'link',
  before: undefined,
  now: { ifindex, name: `if${ifindex}`, mac, mtu, up, carrier: true },
});
const at = (address: string) => routes.lookup(addressBytes(address));
const says = (address: string) => routes.formatDpo(at(address));

beforeEach(() => {
  const arena = Arena.create(64 * 1024 * 1024);
  memory = arena.memory;
  tables = new IpTables(arena, undefined, { fib6: { prefixes: 1024 } });
  asked = [];
  routes = new RouteTable(tables, {
    onResolve: (index, address) => asked.push(`${index} ${address}`),
    interfaceName: (index) => ['lan', 'wan'][index] ?? `interface ${index}`,
  });
  routes.attach(LAN, 0);
  routes.attach(WAN, 1);
  routes.apply(link(LAN, MAC(10)), link(WAN, MAC(11)));
  routes.apply(
    add(route('10.0.0.0/24', way(LAN))),
    add(route('192.168.0.0/24', way(WAN))),
    add(route('fd00::/64', way(LAN))),
  );
});

describe('routes of the kernel', () => {
  it('lead to what they say', () => {
    const as = (type: string, destination: string, table = 254) =>
      add({ ...route(destination, way(LAN)), type, table });
    routes.apply(
      as('local', '10.0.0.1/32', 255),
      as('broadcast', '10.0.0.255/32', 255),
      as('blackhole', '10.66.0.0/16'),
    );
    routes.apply(as('unreachable', '10.67.0.0/16'), as('prohibit', '10.68.0.0/16'), as('throw', '10.69.0.0/16'));
    routes.apply(add(route('10.70.0.0/16', way(12))), add({ ...route('10.71.0.0/16', way(LAN)), tos: 4 }));
    expect(says('10.0.0.9')).toBe('glean lan');
    expect(says('10.0.0.1')).toBe('receive lan');
    expect(says('10.0.0.255')).toBe('punt (multicast)');
    expect(says('10.66.1.1')).toBe('drop (blackhole)');
    expect(says('10.67.1.1')).toBe('drop (unreachable)');
    expect(says('10.68.1.1')).toBe('drop (unreachable)');
    expect(says('10.69.1.1')).toBe('drop (no route)');
    expect(says('10.70.1.1')).toBe('punt (foreign interface)');
    expect(says('10.71.1.1')).toBe('drop (no route)');
    expect(says('fd00::5')).toBe('glean lan');
  });

  it('do not touch what must not be on a network, nor link-local and multicast addresses', () => {
    routes.apply(add(route('0.0.0.0/0', way(WAN, '192.168.0.1'))), add(route('fe80::/64', way(LAN))));
    routes.apply(add({ ...route('127.0.0.1/32', way(1)), type: 'local', table: 255 }));
    expect(says('127.0.0.1')).toBe('drop (martian)');
    expect(says('0.1.2.3')).toBe('drop (martian)');
    expect(says('224.0.0.5')).toBe('punt (multicast)');
    expect(says('fe80::1')).toBe('punt (link local)');
    expect(says('ff02::1')).toBe('punt (multicast)');
    expect(says('::1')).toBe('drop (martian)');
  });

  it('of one prefix: the local table first, then the lowest metric', () => {
    const main = { ...route('10.9.0.0/16', way(WAN, '192.168.0.1')), metric: 10 };
    const worse = { ...route('10.9.0.0/16', way(LAN, '10.0.0.2')), metric: 20 };
    const local = { ...route('10.9.0.0/16', way(LAN)), table: 255, type: 'local', metric: 99 };
    routes.apply(add(worse), add(main));
    expect(says('10.9.0.1')).toContain('via 192.168.0.1');
    routes.apply(add(local));
    expect(says('10.9.0.1')).toBe('receive lan');
    routes.apply(del(local), del(main));
    expect(says('10.9.0.1')).toContain('via 10.0.0.2');
    routes.apply(del(worse));
    expect(at('10.9.0.1')).toBe(NO_ROUTE);
  });

  it('of one prefix and metric over two links: the first, also after it changed', () => {
    const over = (device: number, mtu = 0) => ({ ...route('fd09::/64', way(device)), metric: 256, mtu });
    routes.apply(add(over(LAN)), add(over(WAN)));
    expect(says('fd09::1')).toBe('glean lan');
    routes.apply({ kind: 'route', before: over(LAN), now: over(LAN, 1400) });
    expect(says('fd09::1')).toBe('glean lan');
    routes.apply(del(over(LAN, 1400)));
    expect(says('fd09::1')).toBe('glean wan');
  });

  it('for a type of service come and go beside the route for all', () => {
    const all = route('10.9.0.0/16', way(LAN, '10.0.0.2'));
    const some = { ...route('10.9.0.0/16', way(WAN, '192.168.0.1')), tos: 16 };
    routes.apply(add(all), add(some));
    expect(says('10.9.0.1')).toContain('via 10.0.0.2');
    routes.apply({ kind: 'route', before: some, now: { ...some, nexthops: [way(WAN, '192.168.0.2')] } });
    expect(says('10.9.0.1')).toContain('via 10.0.0.2');
    routes.apply(del(some));
    expect(says('10.9.0.1')).toContain('via 10.0.0.2');
  });

  it('of type throw end the lookup, though a shorter prefix has a route; not in the local table', () => {
    const thrown = { ...route('10.9.0.0/16'), type: 'throw' };
    routes.apply(add(route('0.0.0.0/0', way(LAN, '10.0.0.2'))), add(thrown));
    expect(at('10.9.0.1')).toBe(NO_ROUTE);
    expect(says('10.10.0.1')).toContain('via 10.0.0.2');
    routes.apply(del(thrown), add({ ...thrown, table: 255 }));
    expect(says('10.9.0.1')).toContain('via 10.0.0.2');
  });

  it('all of whose ways are skipped leave it to the next metric and to shorter prefixes', () => {
    const dead = (...hop: [number, string?]) => ({ ...way(...hop), dead: true, skipped: true });
    const first = { ...route('10.9.0.0/16', way(LAN, '10.0.0.2'), way(LAN, '10.0.0.3')), metric: 10 };
    const half = { ...first, nexthops: [dead(LAN, '10.0.0.2'), way(LAN, '10.0.0.3')] };
    const none = { ...first, nexthops: [dead(LAN, '10.0.0.2'), dead(LAN, '10.0.0.3')] };
    const second = { ...route('10.9.0.0/16', way(WAN, '192.168.0.2')), metric: 20 };
    routes.apply(add(route('0.0.0.0/0', way(WAN, '192.168.0.1'))), add(first), add(second));
    routes.apply({ kind: 'route', before: first, now: half });
    expect(says('10.9.0.1')).toContain('via 10.0.0.3');
    routes.apply({ kind: 'route', before: half, now: none });
    expect(says('10.9.0.1')).toContain('via 192.168.0.2');
    routes.apply(del(second));
    expect(says('10.9.0.1')).toContain('via 192.168.0.1');
    routes.apply({ kind: 'route', before: none, now: first });
    expect(says('10.9.0.1')).toContain('load-balance via 10.0.0.2');
    // without a carrier, while the kernel goes on to use them: unreachable, not by another way
    routes.apply({
      kind: 'route',
      before: first,
      now: { ...first, nexthops: [{ ...way(LAN, '10.0.0.2'), dead: true }] },
    });
    expect(says('10.9.0.1')).toBe('drop (unreachable)');
  });

  it('that change are replaced, also when their metric changes', () => {
    const before = { ...route('10.9.0.0/16', way(LAN, '10.0.0.2')), metric: 5 };
    routes.apply(add(before));
    const now = { ...before, nexthops: [way(LAN, '10.0.0.3')] };
    routes.apply({ kind: 'route', before, now });
    expect(says('10.9.0.1')).toContain('via 10.0.0.3');
    const later = { ...now, metric: 7 };
    routes.apply({ kind: 'route', before: now, now: later });
    expect(routes.entries(4).filter(({ prefix }) => prefix === '10.9.0.0/16')).toHaveLength(1);
    routes.apply(del(later));
    expect(at('10.9.0.1')).toBe(NO_ROUTE);
  });

  it('over several next hops share flows by weight', () => {
    routes.apply(
      add(
        route('10.9.0.0/16', way(LAN, '10.0.0.2', 3), way(WAN, '192.168.0.2', 1), {
          ...way(LAN, '10.0.0.9'),
          dead: true,
        }),
      ),
    );
    const word = at('10.9.1.1');
    expect(dpoType(word)).toBe(L.DPO_LOAD_BALANCE);
    const shares = new Map<string, number>();
    for (const bucket of tables.loadBalances.buckets(dpoIndex(word))) {
      const text = routes.formatDpo(bucket).split(' ')[1]!;
      shares.set(text, (shares.get(text) ?? 0) + 1);
    }
    expect(Object.fromEntries(shares)).toEqual({ '10.0.0.2': 3, '192.168.0.2': 1 });
    const [shown] = routes.entries(4).filter(({ prefix }) => prefix === '10.9.0.0/16');
    expect(shown!.paths).toEqual(['via 10.0.0.2 lan incomplete weight 3', 'via 192.168.0.2 wan incomplete']);
  });

  it('over a gateway without interface follow the route to the gateway', () => {
    routes.apply(add(route('10.9.0.0/16', way(0, '172.16.0.1'))));
    expect(says('10.9.0.1')).toBe('drop (unreachable)');
    const inner = route('172.16.0.0/12', way(LAN, '10.0.0.2'));
    routes.apply(add(inner));
    expect(says('10.9.0.1')).toContain('via 10.0.0.2 lan');
    routes.apply(del(inner), add(route('172.16.0.0/12', way(WAN))));
    expect(says('10.9.0.1')).toContain('via 172.16.0.1 wan');
    expect(asked).toContain('1 172.16.0.1');
  });
});

describe('more routes', () => {
  const wide = (i: number) => route(`${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/25`, way(LAN, '10.0.0.2'));

  it('than a call takes arguments are taken over at once, and follow their next hops', () => {
    const gateway = (metric: number, device: number) => ({ ...route('172.16.0.0/12', way(device)), metric });
    const many = Array.from({ length: 200_000 }, (_, i) =>
      add(route(`${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`, way(0, '172.16.0.1'))),
    );
    routes.apply(add(gateway(10, LAN)));
    routes.applyAll(many);
    expect(says('20.0.0.1')).toContain('via 172.16.0.1 lan');
    expect(says('23.13.63.1')).toContain('via 172.16.0.1 lan');
    routes.apply(add(gateway(5, WAN)));
    expect(says('23.13.63.1')).toContain('via 172.16.0.1 wan');
  });

  it('than there is room for leave the others as they are, and come when there is', () => {
    const all = Array.from({ length: 60_000 }, (_, i) => wide(i));
    const later = route('50.0.0.0/8', way(LAN, '10.0.0.3'));
    const full = { code: 'LBD_OUT_OF_MEMORY' };
    expect(() => routes.applyAll([...all.map(add), add(later)])).toThrow(expect.objectContaining(full));
    expect(says('20.0.0.1')).toContain('via 10.0.0.2');
    expect(says('50.0.0.1')).toContain('via 10.0.0.3');
    expect(at('20.234.95.1')).toBe(NO_ROUTE);
    // what is special is there, or refused
    expect(() => routes.addSpecial('99.1.1.1/32', dpo(L.DPO_DROP, L.DROP_BLACKHOLE))).toThrow(
      expect.objectContaining(full),
    );
    expect(at('99.1.1.1')).toBe(NO_ROUTE);
    routes.applyAll(all.slice(0, 30_000).map(del));
    expect(at('20.0.0.1')).toBe(NO_ROUTE);
    expect(says('20.234.95.1')).toContain('via 10.0.0.2');
    routes.addSpecial('99.1.1.1/32', dpo(L.DPO_DROP, L.DROP_BLACKHOLE));
    expect(says('99.1.1.1')).toBe('drop (blackhole)');
  });

  it('that can not be taken over do not keep others from it', () => {
    const bad = {
      kind: 'neighbour',
      before: undefined,
      now: { ifindex: LAN, address: 'x', mac: MAC(1), state: 'stale' },
    };
    expect(() => routes.apply(bad as KernelChange, add(route('50.0.0.0/8', way(LAN, '10.0.0.3'))))).toThrow();
    expect(says('50.0.0.1')).toContain('via 10.0.0.3');
  });
});

describe('what routes hold', () => {
  it('is given back: adjacencies and load balances do not run out', () => {
    for (let i = 0; i < 66_000; i++) {
      const gone = route(
        '10.9.0.0/16',
        way(LAN, `10.0.${(i >> 8) & 255}.${i & 255}`),
        way(WAN, `192.168.${i >> 16}.${i & 127}`),
      );
      routes.apply(add(gone), del(gone));
    }
    const over = route('10.9.0.0/16', way(0, '172.16.0.1'));
    routes.apply(add(over));
    for (let i = 0; i < 66_000; i++) {
      const gone = route('172.16.0.0/12', way(i % 2 ? LAN : WAN));
      routes.apply(add(gone), del(gone));
    }
    routes.apply(add(route('10.8.0.0/16', way(LAN, '10.0.0.7'))));
    expect(says('10.8.0.1')).toBe('via 10.0.0.7 lan incomplete');
    expect(dpoIndex(at('10.8.0.1'))).toBeLessThan(10);
  });
});

describe('neighbours', () => {
  it('are host routes on their link, as long as they are usable', () => {
    routes.apply(neighbour(LAN, '10.0.0.2', MAC(2)), neighbour(LAN, 'fd00::2', MAC(3)));
    expect(says('10.0.0.2')).toBe(`via 10.0.0.2 lan ${MAC(2)}`);
    expect(says('fd00::2')).toBe(`via fd00::2 lan ${MAC(3)}`);
    for (const state of ['failed', 'incomplete', 'none']) {
      routes.apply(neighbour(LAN, '10.0.0.2', MAC(2)), neighbour(LAN, '10.0.0.2', MAC(2), state));
      expect(says('10.0.0.2')).toBe('glean lan');
    }
    routes.apply(neighbour(LAN, '10.0.0.2', MAC(2), 'stale'));
    expect(says('10.0.0.2')).toContain(MAC(2));
    const gone = { ifindex: LAN, address: '10.0.0.2', mac: MAC(2), state: 'stale' };
    routes.apply({ kind: 'neighbour', before: gone, now: undefined });
    expect(says('10.0.0.2')).toBe('glean lan');
  });

  it('are none where the address is not on their link', () => {
    routes.apply(neighbour(WAN, '10.0.0.2', MAC(2)), neighbour(LAN, '10.5.0.2', MAC(2)));
    expect(says('10.0.0.2')).toBe('glean lan');
    expect(at('10.5.0.2')).toBe(NO_ROUTE);
    const connected = route('10.5.0.0/16', way(LAN));
    const between = route('10.5.0.0/24', way(WAN, '192.168.0.1'));
    routes.apply(add(connected));
    expect(says('10.5.0.2')).toContain(MAC(2));
    routes.apply(add(between));
    expect(says('10.5.0.2')).toContain('via 192.168.0.1');
    routes.apply(del(between), del(connected));
    expect(at('10.5.0.2')).toBe(NO_ROUTE);
  });

  it('change their MAC address in place: nothing that leads to them changes', () => {
    routes.apply(neighbour(LAN, '10.0.0.2', MAC(2)), add(route('0.0.0.0/0', way(LAN, '10.0.0.2'))));
    const word = at('8.8.8.8');
    expect(at('10.0.0.2')).toBe(word);
    routes.apply(neighbour(LAN, '10.0.0.2', MAC(99)));
    expect([at('8.8.8.8'), says('8.8.8.8')]).toEqual([word, `via 10.0.0.2 lan ${MAC(99)}`]);
    routes.apply(link(LAN, MAC(77), false));
    expect([at('8.8.8.8'), says('8.8.8.8')]).toEqual([word, `via 10.0.0.2 lan ${MAC(99)} (interface down)`]);
  });
});

describe('interfaces', () => {
  it('that lbd gives up or takes over take their routes along', () => {
    routes.apply(neighbour(LAN, '10.0.0.2', MAC(2)), add(route('10.9.0.0/16', way(LAN, '10.0.0.2'))));
    routes.detach(LAN);
    expect(says('10.9.0.1')).toBe('punt (foreign interface)');
    expect(says('10.0.0.2')).toBe('punt (foreign interface)');
    routes.attach(LAN, 5);
    expect(says('10.9.0.1')).toBe(`via 10.0.0.2 interface 5 ${MAC(2)}`);
    expect(says('10.0.0.2')).toBe(`via 10.0.0.2 interface 5 ${MAC(2)}`);
    expect(says('10.0.0.3')).toBe('glean interface 5');
  });
});

describe('special prefixes', () => {
  const VIP = dpo(L.DPO_FIRST_FREE, 42);
  it('win over the kernel’s route at the same prefix, not over longer ones, and give way again', () => {
    routes.apply(add(route('90.0.0.0/8', way(LAN, '10.0.0.2'))));
    routes.addSpecial('90.1.2.3/8', VIP);
    routes.apply(add(route('90.5.0.0/16', way(WAN, '192.168.0.1'))));
    expect(at('90.1.1.1')).toBe(VIP);
    expect(says('90.5.1.1')).toContain('192.168.0.1');
    routes.removeSpecial('90.0.0.0/8');
    expect(says('90.1.1.1')).toContain('via 10.0.0.2');
  });
  it('are exclusive', () => {
    routes.addSpecial('90.0.0.0/8', VIP);
    expect(() => routes.addSpecial('90.0.0.0/8', dpo(9, 1))).toThrow('90.0.0.0/8 is taken already');
    expect(() => routes.addSpecial('127.0.0.0/8', VIP)).toThrow('taken');
    expect(() => routes.removeSpecial('91.0.0.0/8')).toThrow('91.0.0.0/8 is not a special prefix');
    expect(() => routes.addSpecial('90.0.0.0/33', VIP)).toThrow('from 0 to 32');
    expect(at('90.0.0.1')).toBe(VIP);
  });
  it('are shown in the words of whose they are', () => {
    routes.formats.set(L.DPO_FIRST_FREE, (index) => `lb4 vip ${index}`);
    routes.addSpecial('90.0.0.0/8', VIP);
    expect(routes.entries(4).find(({ prefix }) => prefix === '90.0.0.0/8')).toEqual({
      prefix: '90.0.0.0/8',
      dpo: VIP,
      source: 'special',
      paths: ['lb4 vip 42'],
    });
  });
});

describe('track', () => {
  it('follows every change of where an address leads', () => {
    const seen: string[] = [];
    const tracker = routes.track('10.9.0.1', (word) => seen.push(routes.formatDpo(word)));
    routes.apply(add(route('10.9.0.0/16', way(LAN, '10.0.0.2'))));
    expect(asked).toEqual(['0 10.0.0.2']);
    routes.apply(neighbour(LAN, '10.0.0.2', MAC(2)));
    routes.apply(add(route('10.9.0.0/24', way(WAN))));
    expect(asked).toEqual(['0 10.0.0.2', '1 10.9.0.1']);
    routes.apply(neighbour(WAN, '10.9.0.1', MAC(3)));
    routes.apply(add(route('10.0.0.0/8', way(WAN))));
    routes.apply(del(route('10.9.0.0/24', way(WAN))));
    expect(seen).toEqual([
      'drop (no route)',
      'via 10.0.0.2 lan incomplete',
      'glean wan',
      `via 10.9.0.1 wan ${MAC(3)}`,
      `via 10.0.0.2 lan ${MAC(2)}`,
    ]);
    tracker.stop();
    routes.apply(del(route('10.9.0.0/16', way(LAN, '10.0.0.2'))));
    expect(seen).toHaveLength(5);
  });

  describe('tells the largest packet that the way takes', () => {
    let told: number[];
    const follow = (address: string) => {
      told = [];
      routes.track(address, (_, mtu) => told.push(mtu));
    };

    it('of no way, any; of a neighbour, resolved or not, its link’s, as it changes', () => {
      follow('10.9.0.1');
      routes.apply(add(route('10.9.0.0/16', way(LAN, '10.0.0.2'))));
      expect(told).toEqual([65535, 1500]);
      routes.apply(link(LAN, MAC(10), true, 9000));
      routes.apply(link(WAN, MAC(11), true, 1280));
      routes.apply(link(LAN, MAC(10), false, 1400));
      expect(told).toEqual([65535, 1500, 9000, 1400]);
      follow('10.0.0.7');
      routes.apply(neighbour(LAN, '10.0.0.7', MAC(7)));
      expect(told).toEqual([1400, 1400]);
      follow('192.168.0.7');
      routes.apply(link(WAN, MAC(11), true, 1290));
      expect(told).toEqual([1280, 1290]);
      follow('fd00::7');
      expect(told).toEqual([1400]);
    });

    it('of several ways, the least', () => {
      follow('10.9.0.1');
      routes.apply(add(route('10.9.0.0/16', way(LAN, '10.0.0.2'), way(WAN, '192.168.0.3'))));
      routes.apply(link(WAN, MAC(11), true, 1300));
      routes.apply(link(LAN, MAC(10), true, 1400));
      routes.apply(link(WAN, MAC(11), true, 1500));
      expect(told).toEqual([65535, 1500, 1300, 1400]);
    });

    it('of a route with an MTU of its own, the lesser', () => {
      const plain = route('10.9.0.0/16', way(LAN, '10.0.0.2'));
      const small = { ...plain, mtu: 1400 };
      routes.apply(add(plain), neighbour(LAN, '10.0.0.2', MAC(2)));
      follow('10.9.0.1');
      routes.apply({ kind: 'route', before: plain, now: small });
      expect(says('10.9.0.1')).toBe(`via 10.0.0.2 lan ${MAC(2)} mtu 1400`);
      expect(tables.adjacencies.mtu(dpoIndex(at('10.9.0.1')))).toBe(1400);
      routes.apply(link(LAN, MAC(10), true, 1300));
      routes.apply(link(LAN, MAC(10), true, 9000));
      expect(says('10.0.0.2')).toBe(`via 10.0.0.2 lan ${MAC(2)}`);
      routes.apply(neighbour(LAN, '10.0.0.2', MAC(3)));
      expect(says('10.9.0.1')).toBe(`via 10.0.0.2 lan ${MAC(3)} mtu 1400`);
      routes.apply({ kind: 'route', before: small, now: plain });
      expect(told).toEqual([1500, 1400, 1300, 1400, 9000]);
    });

    it('of a neighbour, also what the route to its link says', () => {
      const plain = route('10.7.0.0/16', way(LAN));
      const small = { ...plain, mtu: 1400 };
      routes.apply(add(small));
      follow('10.7.0.1');
      routes.apply(neighbour(LAN, '10.7.0.1', MAC(1)));
      expect(says('10.7.0.1')).toBe(`via 10.7.0.1 lan ${MAC(1)} mtu 1400`);
      routes.apply({ kind: 'route', before: small, now: plain });
      expect(says('10.7.0.1')).toBe(`via 10.7.0.1 lan ${MAC(1)}`);
      const better = { ...small, mtu: 1300 };
      routes.apply({ kind: 'route', before: plain, now: { ...plain, metric: 5 } }, add(better));
      routes.apply(neighbour(LAN, '10.7.0.1', ''));
      routes.apply(del(better));
      expect(told).toEqual([1400, 1400, 1500, 1300, 1300, 1500]);
    });

    it('and adjacencies take no larger ones, and are given back', () => {
      for (let i = 0; i < 66_000; i++) {
        const gone = { ...route('10.9.0.0/16', way(LAN, '10.0.0.2')), mtu: 1000 + (i % 300) };
        routes.apply(add(gone), del(gone));
      }
      routes.apply(neighbour(LAN, '10.0.0.2', MAC(2)));
      routes.apply(add({ ...route('10.9.0.0/16', way(LAN, '10.0.0.2')), mtu: 1400 }));
      const adjacency = tables.adjacencies.at(dpoIndex(at('10.9.0.1')));
      expect(memory.u32[(adjacency + L.ADJACENCY_MTU) >>> 2]).toBe(1400);
    });
  });

  it('ends as the FIB after any sequence of changes, whatever the order', () => {
    const prefixes = ['0.0.0.0/0', '10.9.0.0/16', '10.9.1.0/24', '10.0.0.0/24', '10.9.1.1/32'];
    const ways = [
      [way(LAN, '10.0.0.2')],
      [way(WAN, '192.168.0.2')],
      [way(LAN)],
      [way(0, '10.9.1.1')],
      [way(LAN, '10.0.0.2'), way(WAN, '192.168.0.3')],
    ];
    const change = fc.oneof(
      fc.record({
        kind: fc.constant('route' as const),
        prefix: fc.constantFrom(...prefixes),
        way: fc.option(fc.nat(ways.length - 1), { nil: undefined }),
      }),
      fc.record({
        kind: fc.constant('neighbour' as const),
        address: fc.constantFrom('10.0.0.2', '10.9.1.1', '10.9.1.2'),
        mac: fc.option(fc.nat(9), { nil: undefined }),
      }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const fresh = new RouteTable(
          new IpTables(Arena.create(64 * 1024 * 1024), undefined, { fib6: { prefixes: 1024 } }),
        );
        fresh.attach(LAN, 0);
        fresh.attach(WAN, 1);
        const now = new Map<string, KernelRoute>();
        const seen = new Map<string, number>();
        const watched = ['10.9.1.1', '10.9.1.2', '10.9.2.1', '10.0.0.2', '8.8.8.8'];
        for (const address of watched) fresh.track(address, (word) => seen.set(address, word));
        const known = new Map<string, string>();
        for (const one of changes) {
          if (one.kind === 'neighbour') {
            const mac = one.mac === undefined ? '' : MAC(one.mac);
            if (mac) known.set(one.address, mac);
            else known.delete(one.address);
            fresh.apply(neighbour(LAN, one.address, mac));
          } else {
            const before = now.get(one.prefix);
            const next = one.way === undefined ? undefined : route(one.prefix, ...ways[one.way]!);
            if (next) now.set(one.prefix, next);
            else now.delete(one.prefix);
            if (before || next) fresh.apply({ kind: 'route', before, now: next });
          }
        }
        // the same state, told at once to a table that knows no history
        const other = new RouteTable(
          new IpTables(Arena.create(64 * 1024 * 1024), undefined, { fib6: { prefixes: 1024 } }),
        );
        other.attach(LAN, 0);
        other.attach(WAN, 1);
        other.apply(...[...known].map(([address, mac]) => neighbour(LAN, address, mac)), ...[...now.values()].map(add));
        for (const address of watched) {
          expect(seen.get(address)).toBe(fresh.lookup(addressBytes(address)));
          // a gateway that is reached over itself has no one answer
          if ([...now.values()].some(({ nexthops }) => nexthops[0]!.ifindex === 0)) continue;
          expect(fresh.formatDpo(seen.get(address)!)).toBe(other.formatDpo(other.lookup(addressBytes(address))));
        }
      }),
      { numRuns: 60 },
    );
  });
});
