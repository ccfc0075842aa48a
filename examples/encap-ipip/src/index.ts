import { defineEncap } from '@lbd/lb';
import { PROTOCOL_IP4, PROTOCOL_IP6 } from '@lbd/packet';
import { IPIP4_OVERHEAD, IPIP6_OVERHEAD } from './layout.ts';
import { ipipNode } from './nodes.ts';
import { ipipOptions } from './options.ts';

/** IPv4 and IPv6 packets behind an IPv4 header: RFC 2003 (protocol 4) and RFC 4213 (protocol 41). */
export const ipip4 = defineEncap({
  name: 'ipip4',
  summary: 'IP-in-IP over IPv4: the packet whole behind an outer header, servers answer directly',
  vipFamilies: [4, 6],
  serverFamily: 4,
  overhead: IPIP4_OVERHEAD,
  tunnel: { protocols: [PROTOCOL_IP4, PROTOCOL_IP6] },
  vip: { targetPort: 'refused', dscp: 'refused' },
  options: ipipOptions,
  allocate: (_arena, options) => options,
  nodes: (lb, options) => [ipipNode('ipip4', lb, options)],
});

/** The same behind an IPv6 header: RFC 2473. */
export const ipip6 = defineEncap({
  name: 'ipip6',
  summary: 'IP-in-IP over IPv6: the packet whole behind an outer header, servers answer directly',
  vipFamilies: [4, 6],
  serverFamily: 6,
  overhead: IPIP6_OVERHEAD,
  tunnel: { protocols: [PROTOCOL_IP4, PROTOCOL_IP6] },
  vip: { targetPort: 'refused', dscp: 'refused' },
  options: ipipOptions,
  allocate: (_arena, options) => options,
  nodes: (lb, options) => [ipipNode('ipip6', lb, options)],
});
