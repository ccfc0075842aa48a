import type { Graph } from '@lbd/graph';
import { DpoFormats } from '../dpo.ts';
import type { TableAddresses } from '../tables.ts';
import { ethernetInput } from './ethernet-input.ts';
import { gleanNode } from './glean.ts';
import { type IcmpErrorLimit, icmpEchoRequestNode, icmpErrorNode } from './icmp.ts';
import { ipLocal } from './ip-local.ts';
import { ip4FragNodes } from './ip4-frag.ts';
import { ip4Input } from './ip4-input.ts';
import { ip6Input } from './ip6-input.ts';
import { l4Checksum, l4Checksum6 } from './l4-checksum.ts';
import { DPO, ip4Lookup, ip6Lookup, loadBalance } from './lookup.ts';
import { ip4Rewrite, ip6Rewrite } from './rewrite.ts';

export interface IpNodeOptions {
  /** What traces call DPOs; set the words for the types of other packages there. */
  readonly words?: DpoFormats;
  /** 1000 a second, 100 at once, unless told. */
  readonly icmpErrors?: IcmpErrorLimit;
}

/**
 * Adds the nodes of the IP layer to a graph, with the arcs `ip4-unicast`, `ip6-unicast` and `ip-local`, and the fan-out `dpo`,
 * which other packages add their own DPO types to afterwards. It needs the nodes `interface-output` and `punt` beside.
 * @param tables plain data: each worker declares the same graph with the same addresses
 * @throws FibError
 */
export function addIpNodes(graph: Graph, tables: TableAddresses, options: IpNodeOptions = {}): void {
  const { words = new DpoFormats() } = options;
  graph.add(
    ethernetInput,
    ip4Input,
    ip6Input,
    l4Checksum,
    l4Checksum6,
    ip4Lookup(tables.fib4, words),
    ip6Lookup(tables.fib6, words),
    loadBalance(tables.loadBalances, words),
    ip4Rewrite(tables.adjacencies),
    ip6Rewrite(tables.adjacencies),
    gleanNode(4, tables.adjacencies),
    gleanNode(6, tables.adjacencies),
    ipLocal,
    icmpErrorNode(4, options.icmpErrors),
    icmpErrorNode(6, options.icmpErrors),
    icmpEchoRequestNode(4),
    icmpEchoRequestNode(6),
    ...ip4FragNodes(),
  );
  graph.arc({ name: 'ip4-unicast', start: 'ip4-input', end: 'ip4-lookup' });
  graph.arc({ name: 'ip6-unicast', start: 'ip6-input', end: 'ip6-lookup' });
  graph.arc({ name: 'ip-local', start: 'ip-local', end: 'punt' });
  graph.feature({ arc: 'ip4-unicast', node: 'l4-checksum' });
  graph.feature({ arc: 'ip6-unicast', node: 'l4-checksum6' });
  // in the order of the DPO_ types of layout.ts
  const first = graph.fanOut(
    DPO,
    'drop',
    'punt',
    'ip-local',
    'ip4-rewrite',
    'ip6-rewrite',
    'load-balance',
    'ip4-glean',
    'ip6-glean',
  );
  if (first !== 0) throw new Error(`the fan-out ${DPO} must begin with the nodes of the IP layer`);
}
