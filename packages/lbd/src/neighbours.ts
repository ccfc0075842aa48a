import { DPO_GLEAN4, DPO_GLEAN6, dpoType, type RouteTable } from '@lbd/fib';

/** Longest wait, milliseconds: who has not answered by then may be down, and is added all the same. */
const PATIENCE_MS = 300;
const LOOK_MS = 5;

/**
 * Resolves when the MAC addresses of these neighbours are known, or it has taken too long. Servers are prepared so before
 * flows are given to them, since packets to a neighbour that is not known are lost.
 */
export async function neighboursKnown(routes: RouteTable, addresses: readonly string[]): Promise<void> {
  const trackers: ReturnType<RouteTable['track']>[] = [];
  const isUnknown = ({ dpo }: { dpo: number }) => [DPO_GLEAN4, DPO_GLEAN6].includes(dpoType(dpo));
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
