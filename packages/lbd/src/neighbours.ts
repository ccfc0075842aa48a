import {
  type Adjacencies,
  DPO_ADJACENCY4,
  DPO_ADJACENCY6,
  DPO_GLEAN4,
  DPO_GLEAN6,
  dpoIndex,
  dpoType,
  type RouteTable,
} from '@lbd/fib';

/** Longest wait, milliseconds: who has not answered by then may be down, and is added all the same. */
const PATIENCE_MS = 300;
const LOOK_MS = 5;

/**
 * Resolves when the MAC addresses of these neighbours, or of the gateways to them, are known, or it has taken too long. Servers are prepared so before
 * flows are given to them, since packets to a neighbour that is not known are lost.
 */
export async function neighboursKnown(
  routes: RouteTable,
  adjacencies: Adjacencies,
  addresses: readonly string[],
): Promise<void> {
  const trackers: ReturnType<RouteTable['track']>[] = [];
  const isUnknown = ({ dpo }: { dpo: number }) => {
    const type = dpoType(dpo);
    if (type === DPO_ADJACENCY4 || type === DPO_ADJACENCY6) return !adjacencies.complete(dpoIndex(dpo));
    return type === DPO_GLEAN4 || type === DPO_GLEAN6;
  };
  const end = performance.now() + PATIENCE_MS;
  try {
    // To track an address has its neighbour resolved.
    for (const address of addresses) trackers.push(routes.track(address, () => {}));
    while (trackers.some(isUnknown) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  } finally {
    for (const tracker of trackers) tracker.stop();
  }
}
