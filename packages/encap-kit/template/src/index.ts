import { lookupCounters } from '@lbd/fib';
import { defineEncap } from '@lbd/lb';
import { describe, PROTOCOL_IP4, PROTOCOL_IP6 } from '@lbd/packet';
import * as L from './layout.ts';

const kernels = new URL('../dist/kernels.wasm', import.meta.url);

/** Begins as IP-in-IP over IPv4 (RFC 2003): make it yours. */
export const myEncap = defineEncap({
  name: 'my-encap',
  summary: 'the packet whole behind an IPv4 header',
  vipFamilies: [4, 6],
  serverFamily: 4,
  overhead: L.OVERHEAD,
  tunnel: { protocols: [PROTOCOL_IP4, PROTOCOL_IP6] },
  vip: { targetPort: 'refused', dscp: 'refused' },
  nodes: (lb) => [
    {
      name: 'my-encap',
      next: ['drop'],
      fanOut: 'dpo',
      counters: {
        ...lookupCounters,
        'no source address': 'dropped: no address to send tunnel packets from, set one with lb conf ip4-src-address',
      },
      dataBytes: L.DATA_BYTES,
      init: (memory, data, worker) => {
        memory.u32[(data + L.DATA_LB) >>> 2] = lb.blocks[worker]!;
      },
      process: { module: kernels, export: 'my_encap' },
      trace: (packet) => `to server ${packet.as}: ${describe(packet.bytes, 'ip')}`,
    },
  ],
});

if (Object.keys(lookupCounters).length !== L.LOOKUP_COUNTERS) {
  throw new Error('LOOKUP_COUNTERS must be the number of lookupCounters');
}
