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

/**
 * Two flows with one hash, and as `wanted`, from anywhere to one port of these addresses in turn. The last rounds of the hash can
 * be undone: what is left is a word of the addresses, plus the ports.
 */
export function twinFlows(
  dsts: readonly string[],
  dport: number,
  wanted: (one: FlowEnds, other: FlowEnds) => boolean = () => true,
): [FlowEnds, FlowEnds] {
  const words: number[] = [];
  const list = Array.from({ length: 2000 }, (_, n) => {
    const dst = dsts[n % dsts.length]!;
    return { src: someAddress(n, dst.includes(':')), dst };
  });
  for (const [n, last] of list.entries()) {
    words.push(undoneRounds(hashOfFlow({ ...last, sport: 0, dport })));
    for (let before = 0; before < n; before++) {
      // how much more the later one's ports must be: no more than a source port can make of it
      const more = (words[before]! - words[n]!) | 0;
      if (Math.abs(more) > 0xff00) continue;
      const ports = more < 0 ? 0xff - more : 0xff;
      const one = { ...list[before]!, sport: swapped(ports), dport };
      const other = { ...last, sport: swapped(ports + more), dport };
      if (wanted(one, other)) return [one, other];
    }
  }
  throw new Error('no two flows are as wanted');
}
function someAddress(n: number, six: boolean): string {
  // not in a row: the words of such are as far from each other as can be
  const word = Math.imul(n * n + 1, 0x85ebca6b) >>> 0;
  if (six) return `2001:db8:${(word >>> 16).toString(16)}:${(word & 0xffff).toString(16)}::${(n + 1).toString(16)}`;
  return `${1 + (word & 63)}.${(word >>> 8) & 255}.${(word >>> 16) & 255}.${word >>> 24}`;
}
const swapped = (word: number) => ((word & 255) << 8) | (word >>> 8);
/** lowbias32, backwards. */
function undoneRounds(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x43021123);
  h = Math.imul(h ^ (h >>> 15) ^ (h >>> 30), 0x1d69e2a5);
  return h ^ (h >>> 16);
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
