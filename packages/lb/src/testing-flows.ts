/** Flows that tests choose by the hash that sticky tables know them by. */
import { addressBytes } from '@lbd/packet';
import { stickyHash, stickyPorts } from '@lbd/sticky';

/** The secret of sticky tables in tests, so that each run is the same. */
export const TEST_SECRET = Uint8Array.from({ length: 16 }, (_, i) => i * 29 + 3);

export interface FlowEnds {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
}

/** META_HASH of the flow's packets. */
export const hashOfFlow = ({ src, dst, sport, dport }: FlowEnds): number =>
  stickyHash(TEST_SECRET, {
    source: addressBytes(src),
    destination: addressBytes(dst),
    ports: stickyPorts(sport, dport),
  });

/** Two flows with one hash, and as `wanted`, from anywhere to one port of these addresses in turn: of some 100,000, two have one by chance. */
export function twinFlows(
  dsts: readonly string[],
  dport: number,
  wanted: (one: FlowEnds, other: FlowEnds) => boolean = () => true,
): [FlowEnds, FlowEnds] {
  const byHash = new Map<number, FlowEnds>();
  for (let n = 0; n < 2 ** 20; n++) {
    const dst = dsts[n % dsts.length]!;
    const one = { src: someAddress(n, dst.includes(':')), dst, sport: 1024 + (n % 50_000), dport };
    const hash = hashOfFlow(one);
    const other = byHash.get(hash);
    if (other && wanted(other, one)) return [other, one];
    byHash.set(hash, one);
  }
  throw new Error('no two flows are as wanted');
}
function someAddress(n: number, six: boolean): string {
  if (six) return `2001:db8:${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}::1`;
  return `${1 + (n >>> 16)}.${(n >>> 8) & 255}.${n & 255}.1`;
}

/** So many flows that have one own bucket, in a table of `buckets`. */
export function crowdedFlows<F extends FlowEnds>(flow: (n: number) => F, buckets: number, count: number): F[] {
  const flows: F[] = [];
  for (let n = 0; flows.length < count; n++) {
    const one = flow(n);
    if (hashOfFlow(one) % buckets === hashOfFlow(flows[0] ?? one) % buckets) flows.push(one);
  }
  return flows;
}
