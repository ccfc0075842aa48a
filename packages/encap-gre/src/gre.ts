import { defineEncap } from '@lbd/lb';
import { PROTOCOL_GRE } from '@lbd/packet';
import { GRE4_OVERHEAD, GRE6_OVERHEAD } from './layout.ts';
import { greExpressNode, greNode } from './nodes.ts';
import { gre4Options, greOptions, greState } from './options.ts';

const common = {
  vipFamilies: [4, 6],
  tunnel: { protocols: [PROTOCOL_GRE] },
  vip: { targetPort: 'refused', dscp: 'refused' },
} as const;

/** Packets of IPv4 and IPv6 VIPs go whole, in GRE over IPv4, to their servers, which answer the clients directly. */
export const gre4 = defineEncap({
  ...common,
  name: 'gre4',
  summary: 'GRE over IPv4: the packet whole behind an outer header, servers answer directly',
  serverFamily: 4,
  overhead: GRE4_OVERHEAD,
  options: gre4Options,
  allocate: (_arena, options) => greState(options),
  nodes: (lb, state) => [greNode('gre4', lb, state), greExpressNode('gre4', lb, state)],
  express: 'gre4-express',
});

/** The same over IPv6. */
export const gre6 = defineEncap({
  ...common,
  name: 'gre6',
  summary: 'GRE over IPv6: the packet whole behind an outer header, servers answer directly',
  serverFamily: 6,
  overhead: GRE6_OVERHEAD,
  options: greOptions,
  allocate: (_arena, options) => greState(options),
  nodes: (lb, state) => [greNode('gre6', lb, state), greExpressNode('gre6', lb, state)],
  express: 'gre6-express',
});
