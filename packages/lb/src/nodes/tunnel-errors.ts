import type { Feature, NodeDeclaration } from '@lbd/graph';
import type { Encap } from '../encap.ts';
import { kernels } from '../kernels.ts';
import type { LbHandles } from '../tables.ts';
import * as L from '../tunnel-layout.ts';

/**
 * Feature of `ip-local`: takes the ICMP errors about tunnel packets that routers send to the source address of tunnels, and
 * has the clients told about their own packets that were inside (RFC 2003, section 4; RFC 2473, section 8).
 */
export function tunnelErrorsNode(lb: LbHandles, encaps: readonly Encap[]): NodeDeclaration {
  const kinds = kindsOf(encaps);
  return {
    name: 'lb-tunnel-errors',
    // in the order of TUNNEL_ERRORS_NEXT_
    next: ['drop', 'ip4-icmp-error', 'ip6-icmp-error'],
    // in the order of TUNNEL_ERRORS_
    counters: {
      'too big': 'too large in its tunnel for a router: the client is told what size is left',
      unreachable: 'the server was not reached by its tunnel: the client is told',
      'quotes too little':
        'dropped: an ICMP error about a tunnel packet that does not quote enough of the packet inside',
      'bad checksum': 'dropped: an ICMP error about a tunnel packet, damaged',
      'mtu too small': 'dropped: a tunnel leaves IPv6 packets less than the 1280 bytes that they are promised',
      'other errors': 'dropped: an ICMP error about a tunnel packet that says nothing of the packet inside',
    },
    dataBytes: L.TUNNEL_ERRORS_BYTES,
    init: (memory, data, worker) => {
      const words = [lb.blocks[worker]!, lb.tunnelEnds, kinds.length, ...kinds];
      memory.u32.set(words, data >>> 2);
    },
    process: { module: kernels, export: 'lb_tunnel_errors' },
    trace: () => 'lb-tunnel-errors',
  };
}

export const tunnelErrorsFeature: Feature = { arc: 'ip-local', node: 'lb-tunnel-errors', runsBefore: ['lb-nodeport'] };

/** A word for each kind of tunnel. @throws RangeError if there are too many */
function kindsOf(encaps: readonly Encap[]): number[] {
  const kinds = new Set(
    encaps.flatMap(({ tunnel, serverFamily, overhead }) =>
      (tunnel?.protocols ?? []).map((protocol) => (serverFamily << 16) | (protocol << 8) | overhead),
    ),
  );
  if (kinds.size <= L.TUNNEL_ERRORS_MAX_KINDS) return [...kinds];
  throw new RangeError(`${kinds.size} kinds of tunnels: at most ${L.TUNNEL_ERRORS_MAX_KINDS} are possible`);
}
