import { defineEncap, type Encap } from '@lbd/lb';
import { NatControl } from './nat-control.ts';
import { expressName, in2outExpressName, in2outName, natNodes } from './nodes.ts';
import { type NatOptions, natOptions } from './options.ts';
import { allocateNat, type NatHandles } from './tables.ts';

/** Destination NAT for IPv4 VIPs and servers, TCP and UDP, with sessions. */
export const nat4 = natEncap(4);
/** The same for IPv6. */
export const nat6 = natEncap(6);

function natEncap(family: 4 | 6): Encap<NatHandles, NatOptions> {
  return defineEncap<NatHandles, NatOptions>({
    name: `nat${family}`,
    summary: `destination NAT for IPv${family}: address and port of the server, with sessions`,
    vipFamilies: [family],
    serverFamily: family,
    overhead: 0,
    vip: { port: 'required', targetPort: 'required', dscp: 'refused' },
    options: natOptions,
    allocate: (arena, options, tables) => allocateNat(arena, family, options, tables[`fib${family}`]),
    nodes: natNodes,
    express: expressName(family),
    keepsFlows: true,
    features: [
      {
        arc: `ip${family}-unicast`,
        node: in2outName(family),
        runsAfter: ['l4-checksum', 'l4-checksum6'],
        passesVips: true,
      },
    ],
    shortcuts: [{ node: in2outExpressName(family), instead: 'ethernet-input' }],
    control: (host, handles) => new NatControl(host, handles),
  });
}
