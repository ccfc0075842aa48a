import { nat4 } from '@lbd/encap-nat';
import { addIpNodes, DPO, DPO_ADJACENCY4, dpo, IpTables } from '@lbd/fib';
import { FeatureTable, Graph } from '@lbd/graph';
import { InterfaceTable, interfaceOutputNode, OUTPUT, PUNT, puntNode } from '@lbd/io';
import { allocateLb, ENCAP_FAN_OUT, type Encap, LoadBalancer, lbNodes } from '@lbd/lb';
import { type Arena, Epochs } from '@lbd/memory';
import { addressBytes, parsePrefix } from '@lbd/packet';
import { generatorNode, type Pool, sinkNode } from './nodes.ts';
import { Rig } from './rig.ts';
import { VIP_ADDRESS, VIP_PORT } from './templates.ts';

/** As in the C reference. */
const SERVERS = Array.from({ length: 256 }, (_, i) => `10.1.1.${i}`);
const NEW_FLOW_SLOTS = 16384;
const TARGET_PORT = 3307;
/** The templates' destination: packets to another MAC address are not ours. */
const MAC = '02:00:00:00:00:01';
const INTERFACE = 0;

/**
 * The way of a client's packet through lbd's own nodes, with the tables set up as the C reference has them: one per-port
 * VIP with 256 servers, each a neighbour, and a sticky bucket for each flow.
 *
 *     ethernet-input -> ip4-input -> ip4-lookup -> lb4-port -> nat4 -> ip4-rewrite -> interface-output
 */
export function buildNat4Path(flows: number): (arena: Arena, pool: Pool) => Promise<Rig> {
  return async (arena, pool) => {
    const { fib4, adjacencies, addresses } = new IpTables(arena);
    const lb = allocateLb(arena, { workers: 1, buckets: Math.max(1024, flows) });
    const nat = nat4.allocate!(arena, { sessions: Math.max(1024, flows) }, { fib4: fib4.address });

    const graph = new Graph().add(generatorNode(pool, 'ethernet-input'), sinkNode(pool), interfaceOutputNode, puntNode);
    addIpNodes(graph, addresses);
    graph.add(...lbNodes(lb), ...nat4.nodes(lb, nat));
    for (const feature of nat4.features ?? []) graph.feature(feature);
    const dpoTypes = { lb4: graph.fanOut(DPO, 'lb4'), 'lb4-port': graph.fanOut(DPO, 'lb4-port') };
    const encapPlace = graph.fanOut(ENCAP_FAN_OUT, nat4.name);
    graph.fanOut(OUTPUT, 'bench-sink');
    graph.fanOut(PUNT, 'drop');
    const rig = await Rig.create(arena, graph, pool);

    new FeatureTable(arena.memory, rig.graph, rig.layout);
    new InterfaceTable(arena.memory, rig.layout.interfaces).add({ name: 'bench', up: true, mac: MAC });
    adjacencies.setLink(INTERFACE, { mac: MAC, mtu: 1500, up: true });
    const toServer = (address: string) => {
      const hop = addressBytes(address);
      adjacencies.setNeighbour(INTERFACE, hop, `02:00:00:01:00:${hop[3]!.toString(16).padStart(2, '0')}`);
      return dpo(DPO_ADJACENCY4, adjacencies.acquire(4, INTERFACE, hop));
    };
    const epochs = new Epochs(arena, 1);
    const now = () => 0;
    const host = {
      arena,
      epochs,
      now,
      lookup: toServer,
      track(address: string, changed: (dpo: number) => void) {
        changed(toServer(address));
        return { close() {} };
      },
      addPrefix(prefix: string, word: number) {
        const { bytes, length } = parsePrefix(prefix);
        fib4.add(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), length, word);
      },
      removePrefix() {},
      addReturn() {},
      removeReturn() {},
      describe: String,
      dpoTypes,
      encapPlace: () => encapPlace,
      onWorkers: async () => {},
    };
    const control = nat4.control!({ arena, epochs, lb, now }, nat);
    const balancer = new LoadBalancer(host, lb, [nat4 as Encap], new Map([[nat4.name, control]]));
    const vip = { prefix: `${VIP_ADDRESS}/32`, protocol: 'udp', port: VIP_PORT } as const;
    await balancer.addVip({
      ...vip,
      encap: nat4.name,
      type: 'clusterip',
      targetPort: TARGET_PORT,
      newLen: NEW_FLOW_SLOTS,
      srcIpSticky: false,
    });
    await balancer.addServers({ vip, addresses: SERVERS, flush: false });
    return rig;
  };
}
