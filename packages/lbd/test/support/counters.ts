import type { Daemon } from '@lbd/netlab';

interface NodeCounter {
  readonly node: string;
  readonly name: string;
  readonly count: number;
}

/** `node/reason` -> count, as `show errors` has it, zeros left out. */
export async function errorCounters(daemon: Daemon): Promise<Record<string, number>> {
  const counters = (await daemon.data('show errors')) as NodeCounter[];
  return Object.fromEntries(counters.map(({ node, name, count }) => [`${node}/${name}`, count]));
}

/** What was counted between two looks. */
export function difference(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  const changed = Object.entries(after).map(([key, count]) => [key, count - (before[key] ?? 0)] as const);
  return Object.fromEntries(changed.filter(([, count]) => count !== 0));
}

/**
 * Packets dropped, by any reason. A packet to a neighbour that is not known yet is (ip4-glean, as in VPP); servers are
 * resolved before they get flows, but a client of the same network is known only once the kernel has spoken to it and
 * has told lbd, which the first answer to it may outrun. Tests let the client speak to the host first.
 */
export async function drops(daemon: Daemon): Promise<number> {
  const runtime = (await daemon.data('show runtime')) as { nodes: { name: string; packets: number }[] };
  return runtime.nodes.filter(({ name }) => name === 'drop').reduce((sum, { packets }) => sum + packets, 0);
}
