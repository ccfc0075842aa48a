import type { TableAddresses } from '@lbd/fib';
import { MAX_STANDS_FOR, type NodeDeclaration, type Shortcut, VECTOR_SIZE } from '@lbd/graph';
import type { EncapFeature } from '../encap.ts';
import * as E from '../express-layout.ts';
import { kernels } from '../kernels.ts';
import { LB_ADJACENCIES } from '../layout.ts';
import type { LbHandles } from '../tables.ts';

/**
 * Name of the fan-out whose members take packets from lb4-express, in the order of the fan-out `encap`: an encap's own
 * express node, or the encap itself if it has none.
 */
export const EXPRESS_FAN_OUT = 'encap-express';

/** Places of the choosing nodes in the fan-out `dpo`. */
export type ChooserTypes = Readonly<Record<'lb4' | 'lb4-port' | 'lb6' | 'lb6-port', number>>;

/**
 * The nodes of {@link lbShortcuts}.
 * @param features of encaps: interfaces may have those that let packets to VIPs pass
 */
export function expressNodes(
  lb: LbHandles,
  tables: TableAddresses,
  types: ChooserTypes,
  features: readonly EncapFeature[] = [],
): readonly NodeDeclaration[] {
  const passing = (arc: string) => features.filter((one) => one.passesVips && one.arc === arc).map(({ node }) => node);
  const node = (family: 4 | 6): NodeDeclaration => ({
    name: `lb${family}-express`,
    next: ['ethernet-input'],
    fanOut: EXPRESS_FAN_OUT,
    watches: `ip${family}-unicast`,
    // in the order of STANDS_FOR_
    standsFor: [family === 4 ? 'l4-checksum' : 'l4-checksum6', ...passing(`ip${family}-unicast`)].slice(
      0,
      MAX_STANDS_FOR,
    ),
    dataBytes: E.EXPRESS_BYTES,
    init: (memory, data, worker) => {
      memory.u32[(lb.blocks[worker]! + LB_ADJACENCIES) >>> 2] = tables.adjacencies;
      const words: Array<[number, number]> = [
        [E.EXPRESS_LB, lb.blocks[worker]!],
        [E.EXPRESS_FIB, tables[`fib${family}`]],
        [E.EXPRESS_ALL_PORTS, types[`lb${family}`]],
        [E.EXPRESS_PER_PORT, types[`lb${family}-port`]],
      ];
      for (const [offset, word] of words) memory.u32[(data + offset) >>> 2] = word;
    },
    process: { module: kernels, export: `lb${family}_express` },
  });
  return [node(4), node(6)];
}

/** Packets of established flows go from the driver to the encap in one node; what is not IPv4 goes past it to that of IPv6. */
export const lbShortcuts: readonly Shortcut[] = [
  { node: 'lb4-express', instead: 'ethernet-input' },
  { node: 'lb6-express', instead: 'ethernet-input' },
];

if (E.EXPRESS_PACKETS !== VECTOR_SIZE) throw new Error('EXPRESS_PACKETS must be VECTOR_SIZE');
