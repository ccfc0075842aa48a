import type { Arena } from '@lbd/memory';
import { BenchBalancer } from './balancer.ts';
import type { Case } from './cases.ts';
import type { Pool } from './nodes.ts';
import type { Rig } from './rig.ts';
import { ADDRESSES, TARGET_PORT, type Templates, VIP_PORT } from './templates.ts';

/** As in the C reference. */
const SERVERS = 256;
const NEW_FLOW_SLOTS = 16384;

/**
 * lbd's own graph, all of it, between a generator and a sink; with the tables set up as the C reference has them: one VIP with
 * 256 servers, each a neighbour, and a sticky bucket for each flow. Where there are more VIPs, all have these servers. For replies
 * there is one server, and all flows have begun.
 */
export async function buildPath(arena: Arena, pool: Pool, of: Case, templates: Templates): Promise<Rig> {
  const { flows } = templates;
  // A tenth of the flows is new each second of the measurements with new flows.
  const sessions = (encap: string) => (encap === of.encap ? Math.max(4096, 4 * flows) : 1024);
  const bed = await BenchBalancer.create(arena, pool, { buckets: Math.max(1024, flows), sessions });
  const { balancer, rig } = bed;
  if (of.reply) bed.enable(arena, `lb-${of.encap}-in2out`);

  const { server } = ADDRESSES[of.encap.endsWith('6') ? 6 : 4];
  const servers = Array.from({ length: of.reply ? 1 : SERVERS }, (_, n) => server(n));
  bed.route('10.1.0.0/16');
  bed.route('2001:db8:2::/64');
  for (const address of servers) bed.neighbour(address);
  for (const family of [4, 6] as const) {
    const gateway = family === 4 ? '10.1.2.1' : '2001:db8:2::2:1';
    bed.neighbour(gateway);
    bed.route(ADDRESSES[family].clients, gateway);
  }

  for (let n = 0; n < (of.vips ?? 1); n++) {
    const prefix = `${ADDRESSES[of.vipFamily].vip(n)}/${of.vipFamily === 4 ? 32 : 128}`;
    const vip = of.perPort ? ({ prefix, protocol: 'udp', port: VIP_PORT } as const) : { prefix };
    await balancer.addVip({
      ...vip,
      encap: of.encap,
      type: 'clusterip',
      ...(of.encap.startsWith('nat') ? { targetPort: TARGET_PORT } : {}),
      ...(of.encap === 'l3dsr' ? { dscp: 7 } : {}),
      newLen: NEW_FLOW_SLOTS,
      srcIpSticky: false,
    });
    await balancer.addServers({ vip, addresses: servers, flush: false });
  }
  if (of.reply) {
    rig.pass(2 * flows + 1024);
    templates.fill(true);
  }
  return rig;
}
