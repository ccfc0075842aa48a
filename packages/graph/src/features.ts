import { GraphError } from './errors.ts';
import type { Feature } from './node.ts';

/**
 * Orders the features of one arc by their `runsBefore` and `runsAfter`. Features that nothing orders keep the order in
 * which they were declared, so that every thread that declares the same graph gets the same order.
 */
export function orderFeatures(arc: string, features: readonly Feature[]): string[] {
  const names = features.map((feature) => feature.node);
  const before = new Map<string, Set<string>>(names.map((name) => [name, new Set()]));
  for (const feature of features) {
    for (const later of feature.runsBefore ?? []) before.get(later)?.add(feature.node);
    for (const earlier of feature.runsAfter ?? []) if (before.has(earlier)) before.get(feature.node)!.add(earlier);
  }
  const ordered: string[] = [];
  while (ordered.length < names.length) {
    const free = names.find(
      (name) => !ordered.includes(name) && [...before.get(name)!].every((n) => ordered.includes(n)),
    );
    if (free === undefined) {
      const stuck = names.filter((name) => !ordered.includes(name));
      throw new GraphError(
        'LBD_GRAPH_ORDER',
        `arc ${arc}: the order of ${stuck.join(', ')} contradicts itself: runsBefore and runsAfter must not form a circle`,
      );
    }
    ordered.push(free);
  }
  return ordered;
}
