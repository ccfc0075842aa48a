import type { Namespace } from '@lbd/netlab';
import type { Address, Link, Neighbour, Route } from '../dist/index.js';

/** What `ip -json` says and what we say, in the same words: sorted lines of text. */

type Json = Record<string, unknown>;
const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value));
const isRaw = (value: unknown): value is Json => typeof value === 'object' && value !== null;

export async function ipLinks(ns: Namespace): Promise<string[]> {
  const links = await ns.ipJson('-details', 'link', 'show');
  const up = (link: Json, flag: string): boolean => (link.flags as string[]).includes(flag);
  return links
    .map((link) =>
      [
        link.ifindex,
        link.ifname,
        link.link_type === 'loopback' ? '00:00:00:00:00:00' : link.address,
        link.mtu,
        up(link, 'UP'),
        up(link, 'LOWER_UP'),
        text(link.operstate).toLowerCase(),
        isRaw(link.linkinfo) ? text(link.linkinfo.info_kind) : '',
      ].join(' '),
    )
    .sort();
}

export const linkLines = (links: readonly Link[]): string[] =>
  links
    .map((link) =>
      [link.ifindex, link.name, link.mac, link.mtu, link.up, link.carrier, link.operState, link.kind].join(' '),
    )
    .sort();

export async function ipAddresses(ns: Namespace): Promise<string[]> {
  const links = await ns.ipJson('address', 'show');
  return links
    .flatMap((link) =>
      (link.addr_info as Json[]).map((info) => {
        const peer = text(info.address);
        return [link.ifindex, info.local, info.prefixlen, info.scope, peer, info.tentative === true].join(' ');
      }),
    )
    .sort();
}

export const addressLines = (addresses: readonly Address[]): string[] =>
  addresses.map((a) => [a.ifindex, a.address, a.length, a.scope, a.peer, a.tentative].join(' ')).sort();

/** @param first of routes with the same destination, table and metric only the first, which the kernel uses */
export async function ipRoutes(ns: Namespace, first: boolean): Promise<string[]> {
  const seen = new Set<string>();
  const names = await indices(ns);
  const lines: string[] = [];
  for (const family of ['4', '6']) {
    for (const [name, table] of [
      ['main', 254],
      ['local', 255],
    ] as const) {
      for (const route of await ns.ipJson(`-${family}`, '-N', '-details', 'route', 'show', 'table', name)) {
        const hops = (route.nexthops as Json[] | undefined) ?? (route.dev || route.gateway ? [route] : []);
        const all = family === '4' ? '0.0.0.0/0' : '::/0';
        const host = family === '4' ? '/32' : '/128';
        const destination = text(route.dst);
        const nexthops = hops.map((hop) => {
          const gateway = text(hop.gateway) || (isRaw(hop.via) ? text(hop.via.host) : '');
          const dead = ((hop.flags as string[] | undefined) ?? []).some(
            (flag) => flag === 'dead' || flag === 'linkdown',
          );
          return `${names.get(text(hop.dev))}/${gateway}/${hop.weight ?? 1}/${dead}`;
        });
        const device = family === '6' && !route.gateway && !route.nexthops ? text(route.dev) : '';
        const key = [family, table, destination, text(route.metric), device].join(' ');
        if (first && seen.has(key)) continue;
        seen.add(key);
        lines.push(
          [
            table,
            TYPE_NUMBERS[text(route.type)] ?? text(route.type),
            destination === 'default' ? all : destination.includes('/') ? destination : `${destination}${host}`,
            Number(route.metric ?? 0),
            Number((route.metrics as Json[] | undefined)?.[0]?.mtu ?? 0),
            text(route.protocol),
            text(route.prefsrc),
            ...nexthops,
          ].join(' '),
        );
      }
    }
  }
  return lines.sort();
}

/** iproute2 with -N may print numbers. */
const TYPE_NUMBERS: Record<string, string> = {
  '1': 'unicast',
  '2': 'local',
  '3': 'broadcast',
  '4': 'anycast',
  '5': 'multicast',
  '6': 'blackhole',
  '7': 'unreachable',
  '8': 'prohibit',
};

export const routeLines = (routes: readonly Route[]): string[] =>
  routes
    .map((r) =>
      [
        r.table,
        r.type,
        r.destination,
        r.metric,
        r.mtu,
        r.protocol,
        r.source,
        ...r.nexthops.map(({ ifindex, gateway, weight, dead }) => `${ifindex}/${gateway}/${weight}/${dead}`),
      ].join(' '),
    )
    .sort();

/** @param told only those that the kernel tells of: not of the unresolved, nor of multicast groups */
export async function ipNeighbours(ns: Namespace, told: boolean): Promise<string[]> {
  const names = await indices(ns);
  const lines = [];
  for (const family of ['-4', '-6']) {
    for (const entry of await ns.ipJson(family, 'neighbour', 'show', 'nud', 'all')) {
      const state = (entry.state as string[] | undefined)?.[0] ?? 'none';
      if (told && (['NONE', 'INCOMPLETE'].includes(state) || text(entry.dst).startsWith('ff02::'))) continue;
      lines.push([names.get(text(entry.dev)), entry.dst, text(entry.lladdr), state.toLowerCase()].join(' '));
    }
  }
  return lines.sort();
}

export const neighbourLines = (neighbours: readonly Neighbour[]): string[] =>
  neighbours.map((n) => [n.ifindex, n.address, n.mac, n.state].join(' ')).sort();

async function indices(ns: Namespace): Promise<Map<string, number>> {
  return new Map((await ns.ipJson('link', 'show')).map(({ ifname, ifindex }) => [String(ifname), Number(ifindex)]));
}
