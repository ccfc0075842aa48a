import { defineEncap } from '@lbd/lb';
import { Nat4Control } from './nat4-control.ts';
import { nat4Nodes } from './nodes.ts';
import { allocateNat, type NatHandles } from './tables.ts';

/** Destination NAT for IPv4 VIPs and servers, TCP and UDP, with sessions. */
export const nat4 = defineEncap<NatHandles>({
  name: 'nat4',
  summary: 'destination NAT for IPv4: address and port of the server, with sessions',
  vipFamilies: [4],
  serverFamily: 4,
  overhead: 0,
  vip: { port: 'required', targetPort: 'required', dscp: 'refused' },
  allocate: (arena, options, tables) => allocateNat(arena, options, tables),
  nodes: nat4Nodes,
  features: [{ arc: 'ip4-unicast', node: 'lb-nat4-in2out', runsAfter: ['l4-checksum'] }],
  control: (host, handles) => new Nat4Control(host, handles),
});
