import { defineEncap } from '@lbd/lb';
import { l3dsrExpressNode, l3dsrNode } from './nodes.ts';

/**
 * Direct server return in layer 3: packets of IPv4 VIPs get the server's address, and a DSCP that tells the server which VIP
 * they were for; it puts the VIP's address back and answers the client directly.
 */
export const l3dsr = defineEncap({
  name: 'l3dsr',
  summary: "layer-3 direct server return: the server's address, and a DSCP that names the VIP",
  vipFamilies: [4],
  serverFamily: 4,
  overhead: 0,
  vip: { targetPort: 'refused', dscp: 'required' },
  nodes: (lb) => [l3dsrNode(lb), l3dsrExpressNode(lb)],
  express: 'l3dsr-express',
  show: ({ dscp, prefix }) => `packets with DSCP ${dscp} are for ${prefix}`,
});
